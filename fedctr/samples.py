"""Samples of several users side by side, with the rows of the embedding tables that each user has a copy of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedctr.data.dataset import Field
from fedctr.models.batch import Bag, Coded, Places, shares

Codes = npt.NDArray[np.int32]
Take = Callable[[Tensor], Tensor]
ALIGNED = 16  # floats in 64 bytes
WHOLE = 128  # a table of up to this many rows is copied whole: cheaper than finding out which rows are in use


class Samples:
    """Some samples of each user; what nobody asks for is not computed.

    Args:
        mask: bool (users, samples), False in the padding.
        labels: float32 (users, samples), 0 in the padding.
        item: gives the shown items.
        history: gives int64 (users, samples, length), places in the training part, the last of which holds nothing.
        mean_click: gives the mean over the history.
    """

    def __init__(
        self,
        mask: Tensor,
        labels: Tensor,
        item: Callable[[], Coded],
        history: Callable[[], Tensor],
        mean_click: Callable[[], Coded],
    ) -> None:
        self.mask, self.labels = mask, labels
        self._item, self._history, self._mean_click = item, history, mean_click

    @cached_property
    def item(self) -> Coded:
        """The shown items."""
        return self._item()

    @cached_property
    def history(self) -> Tensor:
        """Places in the training part, int64 (users, samples, length)."""
        return self._history()

    @cached_property
    def mean_click(self) -> Coded:
        """The mean over the history."""
        return self._mean_click()

    def take(self, take: Take) -> "Samples":
        """Samples that a function of (users, samples, ...) chooses along the second axis."""
        return Samples(
            take(self.mask),
            take(self.labels),
            lambda: _each(take, self.item),
            lambda: take(self.history),
            lambda: _each(take, self.mean_click),
        )

    def block(self, first: int, length: int) -> "Samples":
        """Neighbouring samples."""
        return self.take(lambda values: values.narrow(1, first, length))


def taking(order: Tensor) -> Take:
    """A function that takes the samples at int64 (users, n) places; any will do where it is -1."""
    order = order.clamp(min=0)
    user = torch.arange(len(order)).unsqueeze(1)

    def take(values: Tensor) -> Tensor:
        return values.flatten(0, 1)[order + user * values.shape[1]]

    return take


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one embedding table that each user has a copy of.

    Attributes:
        codes: int64 (users, rows), which rows of the table they are.
        more: int64 (users, more rows), those that only scored samples need; nobody tunes them.
    """

    codes: Tensor
    more: Tensor

    def stack(self, weight: Tensor) -> Tensor:
        """The users' copies, (users, rows, size)."""
        return weight[self.codes]

    def extend(self, stacked: Tensor, weight: Tensor) -> Tensor:
        """Copies with the rows that only scored samples need, as published."""
        return torch.cat([stacked, weight[self.more]], dim=1) if self.more.shape[1] else stacked


@dataclass(frozen=True, eq=False)
class Numbered:
    """A field's codes of the training part and of the scored part, as rows of the users' copies.

    Attributes:
        table: the rows.
        whole: whether every user has a copy of the whole table.
        train: of the training part, ``rows`` (users, samples, values).
        scored: of the scored part.
    """

    table: Table
    whole: bool
    train: Bag
    scored: Bag

    @classmethod
    def of(cls, field: Field, train: Codes, scored: Codes) -> "Numbered":
        """Number int32 (users, samples, values) codes.

        Of a large table, each place of the training part has a row; places of equal code share the first one's. The
        number of rows then depends on the padded length alone, and mostly the rows are in the order of the samples.
        """
        users = len(train)
        whole = field.cardinality <= WHOLE
        if whole:
            codes = np.arange(-(-field.cardinality // ALIGNED) * ALIGNED)
            codes[field.cardinality :] = 0
            table = Table(torch.from_numpy(codes).expand(users, -1), torch.zeros(users, 0, dtype=torch.int64))
            return cls(table, whole, _bag(train, train), _bag(scored, scored))
        first = np.arange(users)[:, None] * field.cardinality
        flat, more = (codes.reshape(users, -1).astype(np.int64) for codes in (train, scored))
        keys, places, numbers = np.unique(flat + first, return_index=True, return_inverse=True)
        width = flat.shape[1]
        places = places % width
        found = np.minimum(np.searchsorted(keys, more + first), len(keys) - 1)
        known = keys[found] == more + first
        return cls(
            Table(torch.from_numpy(flat), torch.from_numpy(more)),
            whole,
            _bag(places[numbers], train),
            _bag(np.where(known, places[found], width + np.arange(more.shape[1])), scored),
        )

    def places(self, bag: Bag) -> Places:
        """One of the parts as places that a model can look up; of several values, as a matrix where that is small."""
        return self.matrix(bag) if self.whole and bag.rows.shape[2] > 1 else bag

    def mean(self, history: Tensor, weights: Tensor) -> Places:
        """The weighted sum of what stands at places (users, samples, length) of the training part."""
        users, samples, length = history.shape
        take = taking(history.flatten(1))
        rows, shares = take(self.train.rows), take(self.train.weights) * weights.flatten(1).unsqueeze(2)
        bag = Bag(*(values.reshape(users, samples, length * values.shape[2]) for values in (rows, shares)))
        return self.matrix(bag) if self.whole else bag

    def matrix(self, bag: Bag) -> Tensor:
        """The same as a matrix float32 (users, samples, rows)."""
        return bag.matrix(self.table.codes.shape[1])


def _bag(rows: npt.NDArray[np.integer], codes: Codes) -> Bag:
    return Bag(
        torch.from_numpy(rows.astype(np.int64).reshape(codes.shape)), torch.from_numpy(shares(codes > 0))
    )


def _each(take: Take, coded: Mapping[str, Places]) -> Coded:
    return {
        name: take(places) if isinstance(places, Tensor) else Bag(take(places.rows), take(places.weights))
        for name, places in coded.items()
    }
