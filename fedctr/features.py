"""From rows of a data set to the codes that a model reads."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedctr.data.dataset import Dataset, Field, slices
from fedctr.data.split import Split
from fedctr.distinct import Distinct
from fedctr.models.batch import Bag, Batch, Coded, shares
from fedctr.retention import EVERYTHING, Held, Retention

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Histories:
    """The earlier clicks of every sample of some neighbouring users, without a matrix of them.

    A sample's history is the user's latest positives in its training part whose time is strictly before the
    sample's. It is frozen at the end of the training part: a validation or test sample sees no later label.

    Attributes:
        length: clicks that a history holds at most.
        first_row: row of the data set where these users begin.
        clicked: int64 (clicks,), rows of all training positives, ascending.
        begin: int64 (rows,), where in ``clicked`` a row's history begins ...
        end: int64 (rows,), ... and ends.
    """

    length: int
    first_row: int
    clicked: Rows
    begin: Rows
    end: Rows

    @classmethod
    def build(cls, dataset: Dataset, split: Split, users: range, length: int) -> "Histories":
        """Histories of up to ``length`` clicks for all samples of a range of users."""
        first_row, stop_row = int(dataset.offsets[users.start]), int(dataset.offsets[users.stop])
        if length == 0:
            none = np.zeros(stop_row - first_row, dtype=np.int64)
            return cls(length, first_row, none[:0], none, none)
        bounds = dataset.offsets[users.start : users.stop + 1] - first_row
        counts = np.diff(bounds)
        time = dataset.time[first_row:stop_row]
        rows = np.arange(stop_row - first_row)
        train_end = np.repeat(split.train_end[users.start : users.stop] - first_row, counts)

        opens = np.ones(len(rows), dtype=bool)
        opens[1:] = time[1:] != time[:-1]
        opens[bounds[:-1][counts > 0]] = True
        tie_start = np.maximum.accumulate(np.where(opens, rows, 0)) if len(rows) else rows

        positive = (dataset.label[first_row:stop_row] > 0) & (rows < train_end)
        before = np.concatenate([[0], np.cumsum(positive)])
        end = before[np.minimum(tie_start, train_end)]
        own = np.repeat(before[bounds[:-1]], counts)
        return cls(length, first_row, first_row + np.flatnonzero(positive), np.maximum(end - length, own), end)

    def of(self, rows: Rows) -> Rows:
        """The clicks before each sample, latest first.

        Args:
            rows: int64 (...), rows of the data set that belong to these users.

        Returns:
            Rows of the data set, int64 (..., length), -1 beyond the history's beginning.
        """
        if not len(self.clicked):
            return np.full((*rows.shape, self.length), -1)
        relative = rows - self.first_row
        index = self.end[relative][..., None] - 1 - np.arange(self.length)
        present = index >= self.begin[relative][..., None]
        return np.where(present, self.clicked[np.where(present, index, 0)], -1)


@dataclass(frozen=True, eq=False)
class Features:
    """Coded features of the samples of some neighbouring users.

    Attributes:
        dataset: all samples.
        split: parts of every user.
        users: the users in question.
        history_length: earlier clicks that a sample's history holds at most.
        held: the training samples that their devices hold; None for all.
    """

    dataset: Dataset
    split: Split
    users: range
    history_length: int
    held: Held | None = None

    @cached_property
    def histories(self) -> Histories:
        """Their earlier clicks, laid out when somebody asks for them first."""
        return Histories.build(self.dataset, self.split, self.users, self.history_length)

    @property
    def first_row(self) -> int:
        """Row of the data set where these users begin."""
        return int(self.dataset.offsets[self.users.start])

    def keeping(self, retention: Retention, seed: int) -> "Features":
        """The same where the devices have lost some of their training samples; histories stay what they were."""
        if retention == EVERYTHING:
            return self
        return replace(self, held=Held.draw(self.dataset, self.split, self.users, retention, seed))

    @property
    def local_samples(self) -> Rows:
        """How many samples each device holds to fine-tune on, int64 (users,)."""
        if self.held is not None:
            return self.held.samples
        starts, stops = self.split.bounds("train")
        return (stops - starts)[self.users.start : self.users.stop]

    def batch(self, rows: Rows, users: Rows) -> "PlainBatch":
        """What a model reads of int64 (users, samples) rows; ``users`` is int64 (users, samples or 1)."""
        return PlainBatch(self, rows, users)


@dataclass(frozen=True, eq=False)
class PlainBatch(Batch):
    """Samples in the codes of the data set, for models with whole tables.

    Attributes:
        features: where they are from.
        rows: int64 (users, samples), rows of the data set.
        users: int64 (users, samples or 1), rows of the data set.
    """

    features: Features
    rows: Rows
    users: Rows

    @cached_property
    def user(self) -> Coded:
        """Codes of the users."""
        dataset = self.features.dataset
        return _coded(dataset.schema.user_fields, dataset.user_codes[self.users])

    @cached_property
    def item(self) -> Coded:
        """Codes of the items."""
        return self._items(self.features.dataset.item[self.rows] + 1)

    @cached_property
    def mean_click(self) -> Coded:
        """Codes of all clicks of a history at one place."""
        weights = torch.from_numpy(shares(self._past > 0)).unsqueeze(-1)
        return {
            name: Bag(bag.rows.flatten(2), (weights if bag.weights is None else bag.weights * weights).flatten(2))
            for name, bag in self._items(self._past).items()
        }

    @cached_property
    def clicks(self) -> Coded:
        """Codes of the distinct clicks; the first place is for nothing."""
        return self._items(self._distinct.codes)

    @cached_property
    def history(self) -> Tensor:
        """Places in ``clicks``."""
        return torch.from_numpy(self._distinct.number(self._past))

    @cached_property
    def _past(self) -> Rows:
        """Item codes of the earlier clicks, int64 (users, samples, length); 0 where there is none."""
        past = self.features.histories.of(self.rows)
        return np.where(past >= 0, self.features.dataset.item[past] + 1, 0)

    @cached_property
    def _distinct(self) -> Distinct:
        return Distinct.of(self._past.reshape(len(self.rows), -1))

    def _items(self, codes: npt.NDArray[np.integer]) -> dict[str, Bag]:
        dataset = self.features.dataset
        return _coded(dataset.schema.item_fields, dataset.described[codes])


def _coded(fields: tuple[Field, ...], codes: npt.NDArray[np.int32]) -> dict[str, Bag]:
    """Codes (users, places, columns) field by field; a field of several values is the mean of those present."""
    return {
        field.name: Bag(
            torch.from_numpy(codes[..., columns].astype(np.int64)), torch.from_numpy(shares(codes[..., columns] > 0))
        )
        for field, columns in slices(fields)
    }
