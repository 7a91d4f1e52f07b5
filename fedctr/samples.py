"""Samples of several users side by side, with the rows of the embedding tables that each user has a copy of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr.data.dataset import Field
from fedctr.models.batch import Bag, Coded, Places, below, shares

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

    def take(values: Tensor) -> Tensor:
        flat = values.flatten(0, 1)
        return flat.index_select(0, below(order, values.shape[1]).flatten()).view(*order.shape, *flat.shape[1:])

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
class PartCodes:
    """A field's codes in one part of the users' samples.

    Attributes:
        codes: int32 (users, samples, values).
        mask: bool (users, samples), False in the padding.
    """

    codes: npt.NDArray[np.int32]
    mask: npt.NDArray[np.bool_]

    def bag(self, rows: npt.NDArray[np.integer]) -> Bag:
        """The same by the rows of a table, of as many elements; what stands in the padding does not matter."""
        rows = torch.from_numpy(rows.astype(np.int64).reshape(self.codes.shape))
        present = self.codes > 0
        all_present = self.codes.shape[2] == 1 and present[self.mask].all()
        return Bag(rows, None if all_present else torch.from_numpy(shares(present)))


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
    def of(cls, field: Field, train: PartCodes, scored: PartCodes) -> "Numbered":
        """Number the codes of both parts.

        Of a large table, each place of the training part has a row; places of equal code share the first one's. The
        number of rows then depends on the padded length alone, and mostly the rows are in the order of the samples.
        """
        users = len(train.codes)
        whole = field.cardinality <= WHOLE
        if whole:
            codes = np.arange(-(-field.cardinality // ALIGNED) * ALIGNED)
            codes[field.cardinality :] = 0
            table = Table(torch.from_numpy(codes).expand(users, -1), torch.zeros(users, 0, dtype=torch.int64))
            return cls(table, whole, train.bag(train.codes), scored.bag(scored.codes))
        first = np.arange(users)[:, None] * field.cardinality
        flat, more = (part.codes.reshape(users, -1).astype(np.int64) for part in (train, scored))
        keys, places, numbers = np.unique(flat + first, return_index=True, return_inverse=True)
        width = flat.shape[1]
        places = places % width
        found = np.minimum(np.searchsorted(keys, more + first), len(keys) - 1)
        known = keys[found] == more + first
        return cls(
            Table(torch.from_numpy(flat), torch.from_numpy(more)),
            whole,
            train.bag(places[numbers]),
            scored.bag(np.where(known, places[found], width + np.arange(more.shape[1]))),
        )

    def places(self, bag: Bag) -> Places:
        """One of the parts as places that a model can look up; of several values, as a matrix where that is small."""
        return self.matrix(bag) if self.whole and bag.rows.shape[2] > 1 else bag

    def mean(self, history: Tensor, weights: Tensor) -> Places:
        """The weighted sum of what stands at places (users, samples, length) of the training part."""
        places = self.places(self.train)
        if isinstance(places, Tensor):
            users, count, size = places.shape
            flat = below(history, count).flatten(0, 1), places.view(-1, size)
            means = F.embedding_bag(*flat, mode="sum", per_sample_weights=weights.flatten(0, 1))
            return means.view(users, -1, size)
        take = taking(history.flatten(1))
        rows, shares = take(places.rows), weights.flatten(1).unsqueeze(2)
        if places.weights is not None:
            shares = shares * take(places.weights)
        bag = Bag(*(values.view(*history.shape, -1).flatten(2) for values in (rows, shares)))
        return self.matrix(bag) if self.whole else bag

    def matrix(self, bag: Bag) -> Tensor:
        """The same as a matrix float32 (users, samples, rows)."""
        return bag.matrix(self.table.codes.shape[1])


def _each(take: Take, coded: Mapping[str, Places]) -> Coded:
    return {
        name: take(places) if isinstance(places, Tensor) else places.take(take)
        for name, places in coded.items()
    }
