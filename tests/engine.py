"""Small worlds for the tests of models, strategies and engines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr import correction
from fedctr.data.dataset import Dataset, Field, Schema
from fedctr.data.split import Split
from fedctr.features import Features
from fedctr.judgement import Columns, Judged
from fedctr.models.model import models
from fedctr.personalise import personalise
from fedctr.published import Published
from fedctr.randomness import uniform
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local
from fedctr.task import Task

GROUPS, CATEGORIES, TAGS = 4, 6, 8


def world(counts: Sequence[int], *, items: int = 40, seed: int = 0, scale: int = 1, interests: bool = False) -> Dataset:
    """Users with the given numbers of samples, at random, with ties in time and items that come again.

    A quarter of the codes beside the ids is missing; tags are up to three to an item.

    Args:
        counts: samples of each user.
        items: how many there are.
        seed: of the random numbers.
        scale: of how many values the fields beside the ids have.
        interests: whether users have a field of up to three values.
    """
    rng = np.random.default_rng(seed)
    groups, categories, kinds = (scale * size for size in (GROUPS, CATEGORIES, TAGS))
    users, samples = len(counts), sum(counts)
    owner = np.repeat(np.arange(users), counts)
    time, item = rng.integers(0, max(2, samples // 2), samples), rng.integers(0, items, samples)
    order = np.lexsort((item, time, owner))
    tags = rng.integers(1, kinds + 1, (items, 3)) * (np.arange(3) < rng.integers(0, 4, (items, 1)))
    category, group = (
        rng.integers(1, n + 1, k) * (rng.random(k) > 0.25) for n, k in ((categories, items), (groups, users))
    )
    user_fields = [Field("user", users + 1), Field("group", groups + 1)]
    user_codes = [np.arange(1, users + 1)[:, None], group[:, None]]
    if interests:
        other = np.random.default_rng([seed, 1])
        user_fields.append(Field("interests", kinds + 1, values=3))
        user_codes.append(other.integers(1, kinds + 1, (users, 3)) * (np.arange(3) < other.integers(0, 4, (users, 1))))
    return Dataset(
        name="world",
        schema=Schema(
            tuple(user_fields),
            (Field("item", items + 1), Field("category", categories + 1), Field("tags", kinds + 1, values=3)),
        ),
        user_ids=pa.array([f"u{user}" for user in range(users)]),
        item_ids=pa.array([f"i{item}" for item in range(items)]),
        user_codes=np.concatenate(user_codes, axis=1).astype(np.int32),
        item_codes=np.column_stack([np.arange(1, items + 1), category, tags]).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item=item[order].astype(np.int32),
        label=(rng.random(samples) < 0.4).astype(np.uint8),
        time=time[order].astype(np.int64),
    )


def cut(dataset: Dataset, train: Sequence[int]) -> Split:
    """The first samples of every user are for training, the rest for test."""
    start, stop = dataset.offsets[:-1], dataset.offsets[1:]
    end = start + np.array(train, dtype=np.int64)
    return Split(start, end, end, stop)


def features_of(train: Sequence[int], test: Sequence[int], history: int = 5, **options: Any) -> Features:
    """Users with the given numbers of training and test samples."""
    dataset = world([a + b for a, b in zip(train, test, strict=True)], **options)
    return Features(dataset, cut(dataset, train), range(dataset.users), history)


def publish(spec: str, schema: Schema, *, global_ctr: float = 0.3, seed: int = 0) -> Published:
    """A model with parameters so large that every one of them shows in the logits."""
    torch.manual_seed(seed)
    model = models.create(spec, schema)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return Published(spec, schema, model, global_ctr)


def aligned(value: Tensor) -> Tensor:
    """A copy of stacked weights in which every user's begin at a multiple of 64 bytes, as the engine keeps them."""
    users, size = len(value), value[0].numel()
    copy = torch.empty(users, -(-size // 16) * 16, dtype=value.dtype)[:, :size].view(value.shape)
    return copy.copy_(value)


def local_of(
    *users: Sequence[int], published_logits: Tensor | None = None, dtype: torch.dtype = torch.float32, first: int = 0
) -> Local:
    """Users with the given labels, padded to the longest; their numbers, which draws depend on, begin at the first."""
    length = max(map(len, users))
    labels = torch.tensor([[*user, *[0] * (length - len(user))] for user in users], dtype=dtype)
    mask = torch.tensor([[place < len(user) for place in range(length)] for user in users], dtype=torch.bool)
    positives, samples = labels.sum(1, keepdim=True), mask.sum(1, keepdim=True).to(dtype)
    logits = torch.zeros_like(labels) if published_logits is None else published_logits
    numbers = np.arange(first, first + len(users))
    return Local(
        labels,
        mask,
        positives,
        samples,
        ctr=positives / samples.clamp(min=1),
        predict=lambda: logits,
        random=lambda stage: torch.from_numpy(uniform(0, stage, numbers)).unsqueeze(1).to(dtype),
    )


def scored_of(logits: Tensor, here: Tensor | None = None, there: Tensor | None = None) -> Scored:
    """Samples with these logits, (epochs + 1, users, samples), and representations if the test needs them."""

    def represent() -> tuple[Tensor, Tensor]:
        assert here is not None
        assert there is not None
        return here, there

    return Scored(logits, represent)


def judged(*, log_loss: Sequence[Sequence[float]], auc: Sequence[Sequence[float]] | None = None) -> Judged:
    """Candidates, each with its figures of every user, who has ten samples of which four are positive."""
    losses = np.array(log_loss)
    users = losses.shape[1]
    return Judged(
        auc=np.full_like(losses, 0.5) if auc is None else np.array(auc),
        log_loss=losses,
        ndcg_at_10=np.full_like(losses, 0.5),
        samples=np.full(users, 10),
        positives=np.full(users, 4),
    )


ANYTHING = publish("lr", world([1]).schema, global_ctr=0.25)


def task(*, rates: tuple[float, ...] = (0.1,), epochs: tuple[int, ...] = (1,), batch_size: int = 32) -> Task:
    """To be run in process: the data set and the strategy are handed over as objects."""
    return Task("test", 5, rates, epochs, batch_size)


def rows(published: Published, strategy: ClientStrategy, features: Features, task: Task, **options: Any) -> Columns:
    """What :func:`personalise` returns, sorted by user and trial."""
    return in_order([personalise(published, strategy, features, task, **options)])


def in_order(parts: Sequence[Columns]) -> Columns:
    """The rows of several partitions, sorted by user and trial."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort([columns["epochs"], columns["learning_rate"], columns["user"]])
    return {name: values[order] for name, values in columns.items()}


@dataclass(frozen=True)
class Everything(ClientStrategy):
    """Overrides every hook, with functions that round differently in and out of vector instructions."""

    name: ClassVar[str] = "everything"

    def targets(self, local: Local, published: Published) -> Tensor:
        return correction.one_sided(local.labels, local.ctr, local.mean(local.published_logits.sigmoid()))

    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        return logits + local.ctr.sigmoid() * F.softplus(logits.tanh())

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        margins = (logits.unsqueeze(2) - logits.unsqueeze(1)) * (2 * local.labels - 1).unsqueeze(2)
        rank = (F.softplus(-margins) * local.mask.unsqueeze(1)).sum(2) / local.mask.sum(1, keepdim=True).clamp(min=1)
        return rank + F.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor:
        # The gradient depends on the sum over all parameters, and so on how that is rounded.
        return (1e-3 + Proximal(0.3).penalty(parameters, origin)).sqrt()

    def trainable(self, parameter: str) -> bool:
        return "user" not in parameter


@dataclass(frozen=True)
class Proximal(ClientStrategy):
    """FedProx: stay near the published parameters."""

    name: ClassVar[str] = "proximal"

    strength: float = 1.0

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor:
        moved = [(value - origin[name]).square().flatten(1).sum(1) for name, value in parameters.items()]
        return self.strength / 2 * sum(moved, torch.zeros(()))


@dataclass(frozen=True)
class HeadOnly(ClientStrategy):
    """Embeddings stay as published."""

    name: ClassVar[str] = "head-only"

    def trainable(self, parameter: str) -> bool:
        return "tables" not in parameter


@dataclass(frozen=True)
class Tempered(ClientStrategy):
    """Softer logits while tuning, by how many samples a user has."""

    name: ClassVar[str] = "tempered"

    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        return logits / (1 + local.samples / 10)


@dataclass(frozen=True)
class Brier(ClientStrategy):
    """Squared error of the probability."""

    name: ClassVar[str] = "brier"

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        return (logits.sigmoid() - targets).square()
