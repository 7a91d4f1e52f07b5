"""Both engines behind one face, and which of them does the work."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fedctr.cohort import Cohort
from fedctr.cohort_size import users_at_once
from fedctr.data.dataset import Schema
from fedctr.data.split import Part
from fedctr.engine import fine_tune, working_set
from fedctr.features import Features, Rows
from fedctr.fused.engine import Fused, is_ready, takes
from fedctr.judgement import Columns, Logits
from fedctr.published import Published
from fedctr.recipe import Optimiser, Recipe
from fedctr.strategy import ClientStrategy, Local
from fedctr.task import Device, Task

# By model, schema, batch size, padded length and device: what was found for one task serves the next one.
_working_sets: dict[tuple[str, Schema, int, int, str], int] = {}


class Group(Protocol):
    """Some users of one padded length, ready to be fine-tuned."""

    @property
    def columns(self) -> Columns:
        """``user``, ``samples`` and ``positives`` of the scored part, ``local_samples`` and ``local_positives``."""

    @property
    def local(self) -> Local:
        """What their devices hold, as a strategy sees it."""

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where there are samples to be scored, (users, samples)."""

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        """Of these, (users, samples); any in the padding."""

    def logits(self, strategy: ClientStrategy, recipe: Recipe, epochs: Collection[int]) -> Iterator[tuple[int, Logits]]:
        """Fine-tune, and score after some epochs; 0 is before the first one.

        Yields:
            Each of the epochs, ascending, and float32 (users, samples).

        Raises:
            ValueError: when a hook returns NaN or a wrong shape, or no parameter is trainable.
        """

    def represent(self) -> tuple[Tensor, Tensor]:
        """The published model's penultimate layer on what is scored and on what the devices hold.

        Each float32 (users, samples, width).
        """


class Engine(Protocol):
    """A published model, for the users of a partition and the part of their samples that is scored."""

    def size(self, strategy: ClientStrategy, users: Rows, length: int) -> int:
        """How many users to fine-tune at once, given all whose training parts are padded to this length."""

    def group(self, users: Rows, seed: int) -> Group:
        """Users out of :func:`gather`; the seed is that of what strategies draw at random."""


def engine_of(published: Published, features: Features, task: Task) -> Engine:
    """What does the work: the compiled engine wherever it can.

    Args:
        published: the model, on the device.
        features: the users and their samples.
        task: part to score, batch size, optimiser and device.
    """
    if takes(published, task.device):
        return Fused(published, features, task.part, task.batch_size, task.optimiser)
    return Stacked(published, features, task.part, task.batch_size, task.device)


def compiles_first(published: Published, strategy: ClientStrategy, optimiser: Optimiser, device: Device) -> bool:
    """Whether the work begins with compiling the engine, since this machine has not kept it."""
    return takes(published, device) and not is_ready(strategy, optimiser)


@dataclass(frozen=True, eq=False)
class Stacked:
    """The cohort engine, for any model, optimiser and device.

    Attributes:
        published: the model, on the device.
        features: the users and their samples.
        part: what is scored.
        batch_size: samples in a step of fine-tuning.
        device: where to compute.
    """

    published: Published
    features: Features
    part: Part
    batch_size: int
    device: Device

    def size(self, strategy: ClientStrategy, users: Rows, length: int) -> int:
        """As many as the cache holds."""
        return users_together(self.published, self.features, self.batch_size, self.device, users, length)

    def group(self, users: Rows, seed: int) -> "StackedGroup":
        """Make a cohort of users."""
        reads = self.published.model.reads
        cohort = Cohort.build(self.features, users, self.part, self.batch_size, reads).to(self.device)
        return StackedGroup(self.published, users, cohort, cohort.local(self.published, seed))


@dataclass(frozen=True, eq=False)
class StackedGroup:
    """Users who make up a cohort.

    Attributes:
        published: the model, on the device.
        users: int64 (users,), rows of the data set.
        cohort: theirs, in which a lone user stands twice.
        local: what their devices hold.
    """

    published: Published
    users: Rows
    cohort: Cohort
    local: Local

    @property
    def columns(self) -> Columns:
        """What is known of each user."""
        count, scored = len(self.users), self.cohort.scored
        return {
            "user": self.users,
            "samples": self.mask.sum(1),
            "positives": scored.labels[:count].sum(1).long().cpu().numpy(),
            "local_samples": self.local.mask[:count].sum(1).cpu().numpy(),
            "local_positives": self.local.labels[:count].sum(1).long().cpu().numpy(),
        }

    @cached_property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where there are samples to be scored."""
        mask: npt.NDArray[np.bool_] = self.cohort.scored.mask[: len(self.users)].cpu().numpy()
        return mask

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        """Of the samples to be scored."""
        return self.cohort.scored.labels[: len(self.users)].cpu().numpy().astype(np.uint8)

    def logits(self, strategy: ClientStrategy, recipe: Recipe, epochs: Collection[int]) -> Iterator[tuple[int, Logits]]:
        """Fine-tune, and score after some epochs."""
        model, count = self.published.model, len(self.users)
        if 0 in epochs:
            yield 0, self.cohort.score(model, self.cohort.stack(model))[:count]
        if not recipe.epochs:
            return
        tuned = fine_tune(self.published, strategy, self.cohort, self.local, recipe)
        for epoch, parameters in enumerate(tuned, start=1):
            if epoch in epochs:
                yield epoch, self.cohort.score(model, parameters)[:count]

    def represent(self) -> tuple[Tensor, Tensor]:
        """The published model's penultimate layer."""
        scored, train = self.cohort.represent(self.published.model)
        return scored[: len(self.users)], train[: len(self.users)]


def users_together(
    published: Published, features: Features, batch_size: int, device: Device, users: Rows, length: int
) -> int:
    """How many users of one padded length the cohort engine fine-tunes at once.

    Args:
        published: the model, on the device.
        features: the users and their samples.
        batch_size: samples in a step of fine-tuning.
        device: where to compute.
        users: int64 (users,), those of this length.
        length: to which their samples are padded.
    """
    kind = published.spec, published.schema, batch_size, length, device
    if kind not in _working_sets:
        few = Cohort.build(features, users[:2], "train", batch_size, published.model.reads).to(device)
        _working_sets[kind] = working_set(published.model, few)
    return users_at_once(_working_sets[kind], device)
