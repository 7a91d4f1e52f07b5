"""The work in plain PyTorch, as the competitors share it: the model, one user's batches, fine-tuning, ranking."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from work import Integers, Part, Work, auc

Fields = dict[str, tuple[int, int]]


class Batch(NamedTuple):
    """Some samples of one user.

    Attributes:
        user: int64 (1, columns).
        items: int64 (items, columns), each item of the batch once; row 0 is "nothing here".
        item: int64 (samples,), rows of ``items``.
        history: int64 (samples, length), rows of ``items``, padded with 0.
        label: float32 (samples,).
    """

    user: Tensor
    items: Tensor
    item: Tensor
    history: Tensor
    label: Tensor


class WideDeep(nn.Module):
    """A linear part beside an MLP on the embeddings of user, item and mean history."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.user_fields, self.item_fields = work.user_fields, work.item_fields
        fields = work.user_fields | work.item_fields
        shapes = {name: values.shape for name, values in work.parameters.items()}
        self.wide, self.embedding = (
            nn.ModuleDict({name: _table(columns, shapes[f"{kind}.{name}.weight"]) for name, columns in fields.items()})
            for kind in ("wide", "embedding")
        )
        first, second, last = (nn.Linear(*reversed(shapes[f"mlp.{index}.weight"])) for index in (0, 2, 4))
        self.mlp = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)

    def forward(self, user: Tensor, items: Tensor, item: Tensor, history: Tensor) -> Tensor:
        """Logits (samples,)."""
        vectors = _embed(self.embedding, self.item_fields, items)
        deep = torch.cat(
            [
                _embed(self.embedding, self.user_fields, user).expand(len(item), -1),
                F.embedding(item, vectors),
                F.embedding_bag(history, vectors, mode="mean", padding_idx=0),
            ],
            dim=1,
        )
        wide_user = _embed(self.wide, self.user_fields, user).sum(1)
        wide_item = _embed(self.wide, self.item_fields, items).sum(1)
        logits: Tensor = self.mlp(deep).squeeze(1) + wide_user + wide_item[item]
        return logits


def published_model(work: Work) -> WideDeep:
    """The published model."""
    model = WideDeep(work)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in work.parameters.items()})
    return model


def fine_tune(model: WideDeep, optimiser: torch.optim.Optimizer, batches: Iterable[Batch]) -> None:
    """Take a step on every batch."""
    for *features, label in batches:
        loss = F.binary_cross_entropy_with_logits(model(*features), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.no_grad()
def measure(model: WideDeep, batch: Batch) -> float:
    """The model's AUC on one user's samples."""
    *features, label = batch
    return auc(model(*features).numpy(), label.numpy())


def training_batches(work: Work, user: int) -> Iterator[Batch]:
    """The batches of one user's fine-tuning, all epochs, in order."""
    for rows in work.training_rows(user):
        yield _batch(work, user, work.train, rows)


def test_batch(work: Work, user: int) -> Batch:
    """All samples of one user to be ranked."""
    rows = work.test.of(user)
    return _batch(work, user, work.test, np.arange(rows.start, rows.stop))


def _batch(work: Work, user: int, part: Part, rows: Integers) -> Batch:
    numbers = np.concatenate([part.item[rows, None], part.history[rows]], axis=1)
    distinct, index = np.unique(np.append(numbers, 0), return_inverse=True)
    index = index[:-1].reshape(numbers.shape)
    return Batch(
        user=torch.from_numpy(work.user_codes[user : user + 1]),
        items=torch.from_numpy(work.item_codes[distinct]),
        item=torch.from_numpy(index[:, 0].copy()),
        history=torch.from_numpy(index[:, 1:].copy()),
        label=torch.from_numpy(part.label[rows]),
    )


def _table(columns: tuple[int, int], shape: tuple[int, ...]) -> nn.Embedding | nn.EmbeddingBag:
    """The table of one field; several values are averaged."""
    first, stop = columns
    values, size = shape
    if stop - first == 1:
        return nn.Embedding(values, size, padding_idx=0)
    return nn.EmbeddingBag(values, size, mode="mean", padding_idx=0)


def _embed(tables: nn.ModuleDict, fields: Fields, codes: Tensor) -> Tensor:
    """The fields side by side, (rows, size times fields)."""
    return torch.cat(
        [
            tables[name](codes[:, first] if stop - first == 1 else codes[:, first:stop])
            for name, (first, stop) in fields.items()
        ],
        dim=1,
    )
