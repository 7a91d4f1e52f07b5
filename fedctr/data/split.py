"""Training, validation and test part of every user, in the order of time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fedctr.data.dataset import Dataset
from fedctr.errors import FedctrError

Rows = npt.NDArray[np.int64]
Part = Literal["train", "validation", "test"]
Window = Literal["later", "earlier"]


@dataclass(frozen=True)
class Fractions:
    """How much of a user's samples is kept for validation and for test; the rest is for training.

    Attributes:
        validation: share of the samples that follow the training part.
        test: share of the samples that come last.
        window: ``later`` uses all samples; ``earlier`` first drops the last ``test`` share of each user, so that a
            result can be checked on other test samples.
    """

    validation: float = 0.1
    test: float = 0.2
    window: Window = "later"

    def __post_init__(self) -> None:
        if not (0 < self.validation < 1 and 0 < self.test < 1 and self.validation + self.test < 1):
            raise FedctrError(
                f"split: validation {self.validation} and test {self.test} must be shares above 0 "
                "that leave something for training"
            )


@dataclass(frozen=True, eq=False)
class Split:
    """Where each user's parts begin and end, as rows of the data set; every array is int64 (users,).

    The training part is ``start:train_end``, validation ``train_end:validation_end``, test
    ``validation_end:stop``.
    """

    start: Rows
    train_end: Rows
    validation_end: Rows
    stop: Rows

    def bounds(self, part: Part) -> tuple[Rows, Rows]:
        """First row and the row after the last of one part, for every user."""
        edges = (self.start, self.train_end, self.validation_end, self.stop)
        first = ("train", "validation", "test").index(part)
        return edges[first], edges[first + 1]

    def inner(self, share: float) -> "Split":
        """The training parts cut once more: their last samples, rounded down, are for validation, and none for test."""
        train_end = self.train_end - _share(self.train_end - self.start, share)
        return Split(self.start, train_end, self.train_end, self.train_end)


def split(dataset: Dataset, fractions: Fractions) -> Split:
    """Cut every user's samples chronologically; validation and test are rounded down.

    Ties in time at a cut stay where the order of the data set puts them.
    """
    start = dataset.offsets[:-1]
    counts = np.diff(dataset.offsets)
    if fractions.window == "earlier":
        counts = counts - _share(counts, fractions.test)
    test = _share(counts, fractions.test)
    validation = _share(counts, fractions.validation)
    stop = start + counts
    return Split(start, stop - test - validation, stop - test, stop)


def _share(counts: Rows, fraction: float) -> Rows:
    # The small addend keeps 0.29 * 100 = 28.999... from losing a sample.
    share: Rows = np.floor(counts * fraction + 1e-9).astype(np.int64)
    return share
