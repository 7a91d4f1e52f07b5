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
from fedctr.models.batch import ALIGNED, Bag, Coded, Places, below
from fedctr.models.batch import shares as equal_shares

Take = Callable[[Tensor], Tensor]
WHOLE = 128  # a table of up to this many rows is copied whole: cheaper than finding out which rows are in use


class Samples:
    """Some samples of each user; what nobody asks for is not computed.

    Args:
        mask: bool (users, samples), False in the padding.
        labels: float32 (users, samples), 0 in the padding.
        item: gives the shown items.
        history: gives places in the training part, the last of which holds nothing: int64 (users, samples, length).
        shares: gives what each of them counts in the mean, float32 (users, samples, length).
    """

    def __init__(
        self,
        mask: Tensor,
        labels: Tensor,
        item: Callable[[], Coded],
        history: Callable[[], Tensor],
        shares: Callable[[], Tensor],
    ) -> None:
        self.mask, self.labels = mask, labels
        self._item, self._history, self._shares = item, history, shares

    @cached_property
    def item(self) -> Coded:
        """The shown items."""
        return self._item()

    @cached_property
    def history(self) -> Tensor:
        """Places in the training part, int64 (users, samples, length)."""
        return self._history()

    @cached_property
    def shares(self) -> Tensor:
        """What each place of the history counts in the mean, float32 (users, samples, length); 0 if there is none."""
        return self._shares()

    def take(self, take: Take) -> "Samples":
        """Samples that a function of (users, samples, ...) chooses along the second axis."""
        return Samples(
            take(self.mask),
            take(self.labels),
            lambda: {
                name: take(places) if isinstance(places, Tensor) else places.take(take)
                for name, places in self.item.items()
            },
            lambda: take(self.history),
            lambda: take(self.shares),
        )

    def only(self, chosen: Tensor) -> "Samples":
        """The samples that bool (users, samples) chooses, in their order; what is left of the places is padding."""
        mask = self.mask & chosen
        order = torch.argsort((~mask).byte(), dim=1, stable=True)
        mask, found = mask.gather(1, order), self.take(taking(order))
        return Samples(mask, found.labels * mask, lambda: found.item, lambda: found.history, lambda: found.shares)

    def block(self, first: int, length: int, users: int) -> "Samples":
        """Neighbouring samples of the first users."""
        return self.take(lambda values: values[:users, first : first + length])


def taking(order: Tensor) -> Take:
    """A function that takes the samples at int64 (users, n) places; any will do where it is -1."""
    places = Bag(order.clamp(min=0).unsqueeze(2), None)

    def take(values: Tensor) -> Tensor:
        rows = places.below(values.shape[1]).flatten()
        return values.flatten(0, 1).index_select(0, rows).view(*order.shape, *values.shape[2:])

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

    @property
    def rows(self) -> int:
        """Rows that a user tunes."""
        return self.codes.shape[1]

    def take(self, take: Take) -> "Table":
        """What a function of (users, ...) makes of it."""
        return Table(take(self.codes), take(self.more))

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
        present = self.codes > 0
        all_present = self.codes.shape[2] == 1 and present[self.mask].all()
        return Bag(
            torch.from_numpy(rows.astype(np.int64).reshape(self.codes.shape)),
            None if all_present else torch.from_numpy(equal_shares(present)),
        )


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
        flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % ALIGNED)))
        keys, places, numbers = np.unique(flat + first, return_index=True, return_inverse=True)
        width = flat.shape[1]
        places = places % width
        found = np.minimum(np.searchsorted(keys, more + first), len(keys) - 1)
        known = keys[found] == more + first
        return cls(
            Table(torch.from_numpy(flat), torch.from_numpy(more)),
            whole,
            train.bag(places[numbers][:, : train.codes[0].size]),
            scored.bag(np.where(known, places[found], width + np.arange(more.shape[1]))),
        )

    def places(self, bag: Bag) -> Places:
        """One of the parts as places that a model can look up; of several values, as a matrix where that is small."""
        return bag.matrix(self.table.rows) if self.whole and bag.rows.shape[2] > 1 else bag


def mean_clicks(clicks: Coded, rows: Mapping[str, int], history: Tensor, shares: Tensor) -> dict[str, Tensor]:
    """The weighted mean of what stands at the places of a history, as matrices float32 (users, samples, rows).

    Histories are long and tables short: a product with such a matrix is faster than looking up every click.

    Args:
        clicks: of the training part.
        rows: of each field's table.
        history: int64 (users, samples, length), places of ``clicks``.
        shares: float32 (users, samples, length), their weights.
    """
    users, samples, length = history.shape
    some = next(iter(clicks.values()))
    # Every field has the same places.
    below_one_another = below(history, (some if isinstance(some, Tensor) else some.rows).shape[1]).flatten()
    found = {}
    for name, places in clicks.items():
        size = rows[name]
        if isinstance(places, Tensor):
            bags = below_one_another.view(-1, length), places.flatten(0, 1)
            means = F.embedding_bag(*bags, mode="sum", per_sample_weights=shares.reshape(-1, length))
            found[name] = means.view(users, samples, size)
            continue
        values = places.rows.flatten(0, 1).index_select(0, below_one_another).view(users, samples, length, -1)
        weights = shares.unsqueeze(3).expand(values.shape)
        if places.weights is not None:
            weights = weights * places.weights.flatten(0, 1).index_select(0, below_one_another).view(values.shape)
        found[name] = Bag(values.flatten(2), weights.flatten(2)).matrix(size)
    return found
