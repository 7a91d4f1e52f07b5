"""Training, validation and test part of every user, in the order of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import StrictFloat, StrictInt

from fedctr.data.dataset import Dataset
from fedctr.errors import FedctrError

Rows = npt.NDArray[np.int64]
Part = Literal["train", "validation", "test"]
Window = Literal["later", "earlier"]
DAY, HOUR = 86_400, 3_600  # seconds


@dataclass(frozen=True)
class Fractions:
    """How much of a user's samples is kept for validation and for test; the rest is for training.

    Attributes:
        validation: share of the samples that follow the training part.
        test: share of the samples that come last.
        window: ``later`` uses all samples; ``earlier`` first drops the last ``test`` share of each user, so that a
            result can be checked on other test samples.
        unit: tells these from days in an experiment file; may be left out there.
    """

    validation: StrictFloat = 0.1
    test: StrictFloat = 0.2
    window: Window = "later"
    unit: Literal["shares"] = "shares"

    def __post_init__(self) -> None:
        if not (0 < self.validation < 1 and 0 < self.test < 1 and self.validation + self.test < 1):
            raise FedctrError(
                f"split: validation {self.validation} and test {self.test} must be shares above 0 "
                'that leave something for training; for days, say unit = "days"'
            )


@dataclass(frozen=True)
class Days:
    """Which calendar days are kept for validation and for test, the same for all users; those before are for training.

    A user may have no sample in one part or in several.

    Attributes:
        validation: days that follow the training part.
        test: days that come last, of the whole data set.
        window: ``later`` uses all days; ``earlier`` first drops the last ``test`` days.
        hours_from_utc: of the clock by which a day begins at midnight; 8 in China.
        unit: tells these from shares in an experiment file.
    """

    validation: StrictInt = 1
    test: StrictInt = 1
    window: Window = "later"
    hours_from_utc: StrictInt = 0
    unit: Literal["days"] = "days"

    def __post_init__(self) -> None:
        if self.validation < 1 or self.test < 1:
            raise FedctrError(f"split: validation {self.validation} and test {self.test} must be at least 1 day each")
        if not -12 <= self.hours_from_utc <= 14:
            raise FedctrError(f"split: hours_from_utc {self.hours_from_utc} must be from -12 to 14")


SplitRule = Fractions | Days


def rule_of(table: Mapping[str, Any]) -> SplitRule:
    """The rule that ``dataclasses.asdict`` took apart."""
    return Days(**table) if table["unit"] == "days" else Fractions(**table)


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

    def rows(self, part: Part) -> Rows:
        """All rows of one part, user after user."""
        starts, stops = self.bounds(part)
        counts = stops - starts
        return np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))

    def inner(self, share: float) -> "Split":
        """The training parts cut once more: their last samples, rounded down, are for validation, and none for test."""
        train_end = self.train_end - _share(self.train_end - self.start, share)
        return Split(self.start, train_end, self.train_end, self.train_end)


def split(dataset: Dataset, rule: SplitRule) -> Split:
    """Cut every user's samples chronologically.

    Ties in time at a cut between shares stay where the order of the data set puts them.

    Raises:
        FedctrError: when the data set has fewer days than the rule needs.
    """
    return _by_shares(dataset, rule) if isinstance(rule, Fractions) else _by_days(dataset, rule)


def _by_shares(dataset: Dataset, fractions: Fractions) -> Split:
    """Validation and test are rounded down."""
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


def _by_days(dataset: Dataset, days: Days) -> Split:
    ahead = days.hours_from_utc * HOUR
    first, last = ((int(time) + ahead) // DAY for time in (dataset.time.min(), dataset.time.max()))
    end = last + 1 - (days.test if days.window == "earlier" else 0)
    training = end - days.test - days.validation - first
    if training < 1:
        raise FedctrError(
            f"split: data set {dataset.name} has {last + 1 - first:,} days, and {1 - training:,} more are needed for "
            f"a day of training before validation {days.validation} and test {days.test} (window {days.window})"
        )

    def begin(day: int) -> Rows:
        """Each user's first row from the beginning of a day on."""
        late = np.flatnonzero(dataset.time >= day * DAY - ahead)
        return dataset.offsets[1:] - np.diff(np.searchsorted(late, dataset.offsets))

    test = end - days.test
    return Split(dataset.offsets[:-1], *(begin(day) for day in (test - days.validation, test, end)))
