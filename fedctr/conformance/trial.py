"""A strategy and a model tried together on a small world of awkward users, by both engines."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedctr import loop
from fedctr.cohort import gather
from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.split import Split
from fedctr.data.synthetic import Synthetic
from fedctr.engines import Group, engine_of
from fedctr.features import Features, Rows
from fedctr.models.model import models
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.scoring import candidates
from fedctr.strategy import ClientStrategy
from fedctr.task import Task

TOLERANCE = 1e-5  # between the two engines, relative to logits above 1
RECIPE = Recipe(seed=7, learning_rate=0.05, epochs=2)
# None, one, less than a batch, a batch, one more, several batches. The last two users have one class only.
_LOCAL_SAMPLES = (0, 1, 5, 31, 32, 33, 40, 65, 12, 12)
_TEST_SAMPLES = 8
_TOGETHER = 64  # users in a cohort: all of one padded length

Logits = list[npt.NDArray[np.float32]]
_Group = tuple[Rows, Group]


def world(history_length: int = 4) -> Features:
    """The users, with histories of so many clicks."""
    dataset = Synthetic(users=len(_LOCAL_SAMPLES), items=60, samples_per_user=400).read(None, Reading())
    start = dataset.offsets[:-1]
    end = start + np.array(_LOCAL_SAMPLES)
    label = dataset.label.copy()
    label[start[-2] : end[-2]], label[start[-1] : end[-1]] = 1, 0
    dataset = replace(dataset, label=label)
    parts = Split(start, end, end, end + _TEST_SAMPLES)
    return Features(dataset, parts, range(dataset.users), history_length)


def published(spec: str, dataset: Dataset) -> Published:
    """A model with parameters so large that every one of them shows in the logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.create(spec, dataset.schema)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return Published(spec, dataset.schema, model, global_ctr=0.3)


def rules(strategy: ClientStrategy, published: Published, features: Features) -> Iterator[tuple[str, str]]:
    """What holds of every strategy and model together, and how these break it; empty where they do not.

    Raises:
        Exception: whatever a hook of the strategy, or the model, raises.
    """
    groups = _groups(published, features, _TOGETHER)
    before = [value.clone() for _, value in _given(published, groups)]
    together = _scores(strategy, published, groups)
    yield "gives finite scores", _different(features, together, lambda one, _: not np.isfinite(one).all(), together)
    changed = [name for (name, value), old in zip(_given(published, groups), before, strict=True) if _moved(value, old)]
    yield "leaves what it is given as it was", f"{changed[0]} was changed in place; change a clone" if changed else ""
    again = _scores(strategy, published, groups)
    yield "does the same when it is run again", _different(features, together, _unequal, again)
    alone = _scores(strategy, published, _groups(published, features, 1))
    yield "treats each user as if it were alone, to the bit", _different(features, together, _unequal, alone)
    plain = [loop.candidates(published, strategy, features, user, RECIPE, "test") for user in features.users]
    yield "agrees with the plain loop over users", _different(features, together, far, plain)
    blind = _scores(strategy, published, _groups(published, _flipped(features), _TOGETHER))
    yield "reads no label of the test part", _different(features, together, _unequal, blind)


def far(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    """Whether some logits differ by more than two ways to compute the same may."""
    return bool((np.abs(one - other) > TOLERANCE * np.maximum(1, np.abs(one))).any())


def _groups(published: Published, features: Features, at_once: int) -> list[_Group]:
    engine = engine_of(published, features, Task.of(RECIPE, "test"))
    together = gather(features, RECIPE.batch_size, lambda group, length: at_once)
    return [(users, engine.group(users, RECIPE.seed)) for users in together]


def _given(published: Published, groups: list[_Group]) -> Iterator[tuple[str, Tensor]]:
    """Everything that hooks see before tuning, by name."""
    for _, group in groups:
        for name in ("labels", "mask", "positives", "samples", "ctr", "published_logits"):
            yield f"local.{name}", getattr(group.local, name)
    yield from ((f"the published {name}", value.detach()) for name, value in published.model.named_parameters())


def _moved(value: Tensor, before: Tensor) -> bool:
    return not torch.equal(value.nan_to_num(), before.nan_to_num())


def _scores(strategy: ClientStrategy, published: Published, groups: list[_Group]) -> Logits:
    """What every user can choose from in the test part, (candidates, samples), by the engine that would do it."""
    recipe = RECIPE if strategy.tunes else replace(RECIPE, epochs=0)
    found: dict[int, npt.NDArray[np.float32]] = {}
    for users, group in groups:
        ((_, logits),) = candidates(published, strategy, group, recipe, (recipe.epochs,))
        found |= {int(user): logits[:, row, group.mask[row]] for row, user in enumerate(users)}
    return [found[user] for user in sorted(found)]


def _different(
    features: Features,
    expected: Logits,
    differ: Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], bool],
    found: Logits,
) -> str:
    for user, (one, other) in enumerate(zip(expected, found, strict=True)):
        if len(one) != len(other):
            return f"there are {len(one)} candidates to choose from, and another time {len(other)}"
        if differ(one, other):
            start, end = (int(edge[user]) for edge in features.split.bounds("train"))
            of = (
                f"the user with {end - start} local samples, {features.dataset.label[start:end].sum()} of them positive"
            )
            with np.errstate(invalid="ignore"):  # infinite less infinite
                gap = np.abs(one - other).max()
            return f"logits of {of} differ by up to {gap:.3g}" if gap > 0 else f"logits of {of} are not finite"
    return ""


def _unequal(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    return not np.array_equal(one, other)


def _flipped(features: Features) -> Features:
    """The same users with the other label on every sample of the test part."""
    label = features.dataset.label.copy()
    for first, stop in zip(*features.split.bounds("test"), strict=True):
        label[first:stop] = 1 - label[first:stop]
    dataset = replace(features.dataset, label=label)
    return Features(dataset, features.split, features.users, features.history_length)
