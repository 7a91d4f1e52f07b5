"""What somebody's own files say of users, or of items: ids and features, gathered block by block."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data.coding import Numbering, Positions, Whole, codes, list_codes, quantile_codes
from fedctr.data.dataset import Field, Ints
from fedctr.data.mapping import Feature
from fedctr.data.table import Table

_MOST = 1e30


class Described:
    """Users or items by their ids.

    Of several rows that describe one, the first is believed; one that says something else is refused.

    Args:
        identity: the name of the first field, ``user`` or ``item``.
        features: column name to feature.
    """

    def __init__(self, identity: str, features: Mapping[str, Feature]) -> None:
        self.identity = identity
        self._numbers = Numbering()
        self._columns = {name: _Column(feature) for name, feature in features.items()}

    @property
    def columns(self) -> list[str]:
        """The columns that tables must have besides the id."""
        return list(self._columns)

    def number(self, table: Table, column: str) -> Whole:
        """A number for each id of a column, int64 (rows,); a blank one is refused."""
        ids = table.columns[column]
        table.require(column, pc.not_equal(ids, "").to_numpy(zero_copy_only=False), "an id")
        return self._numbers.number(ids)

    def learn(self, table: Table, ids: Whole) -> None:
        """Take the features from the good rows of a table; check all other columns before.

        Args:
            table: has all columns of the features.
            ids: as numbered, int64 (rows,).

        Raises:
            FedctrError: for a number that is none, and for a contradiction, if reading stops at bad rows.
        """
        read = {name: column.read(table, name) for name, column in self._columns.items()}
        for name, column in self._columns.items():
            column.learn(table, name, ids, read[name], self.identity)

    def finished(self, met: Whole) -> tuple[pa.StringArray, Whole, tuple[Field, ...], Ints]:
        """All that occur in the samples, in the ascending order of their ids.

        Args:
            met: numbers of the ids in the samples, int64 (samples,).

        Returns:
            Ids; for each number its row, int64 (numbers,), meaningless for those not met; fields; and codes, int32
            (rows, columns), 0 where nothing is said.
        """
        texts, places = self._numbers.sorted()
        used = np.zeros(len(texts), dtype=bool)
        used[places[met]] = True
        rows = (np.cumsum(used) - 1)[places]
        number_of = np.argsort(places)[used]
        fields = [Field(self.identity, len(number_of) + 1)]
        matrices = [np.arange(1, len(number_of) + 1)[:, None]]
        for name, column in self._columns.items():
            coded, cardinality = column.codes(number_of)
            fields.append(Field(self._field(name, fields), cardinality, values=coded.shape[1]))
            matrices.append(coded)
        return texts.take(pa.array(np.flatnonzero(used))), rows, tuple(fields), np.hstack(matrices).astype(np.int32)

    def _field(self, column: str, others: list[Field]) -> str:
        # Models keep their tables under these names: no dot may be in one, nor may it be a word of PyTorch's own.
        name = f"{self.identity}_{column.replace('.', '_')}"
        while any(name == other.name for other in others):
            name += "'"
        return name


class _Column:
    """One feature: the value that each id was first seen with."""

    def __init__(self, feature: Feature) -> None:
        self.feature = feature
        self._texts = Numbering()
        self._first = np.array([], np.float64)  # NaN for nothing seen yet

    def read(self, table: Table, name: str) -> npt.NDArray[np.float64]:
        """Something that is equal for equal values, and never NaN: the number itself, or a number for the text."""
        if self.feature.buckets is None:
            return self._texts.number(table.columns[name]).astype(np.float64)
        numbers = table.number(name, -_MOST, _MOST, missing=("",), scientific=True)
        return np.where(np.isnan(numbers), np.inf, numbers)

    def learn(self, table: Table, name: str, ids: Whole, values: npt.NDArray[np.float64], identity: str) -> None:
        """Remember the values of new ids, and refuse the rows that contradict."""
        missing = int(ids.max(initial=-1)) + 1 - len(self._first)
        if missing > 0:
            # Room for twice as many, so that growing costs no more than the growth.
            self._first = np.concatenate([self._first, np.full(missing + len(self._first), np.nan)])
        good = np.flatnonzero(table.good)
        fresh, at = np.unique(ids[good], return_index=True)
        fresh, at = fresh[np.isnan(self._first[fresh])], at[np.isnan(self._first[fresh])]
        self._first[fresh] = values[good[at]]
        table.require(name, ~table.good | (self._first[ids] == values), f"the value first seen for this {identity}")

    def codes(self, numbers: Whole) -> tuple[Positions, int]:
        """Codes of the ids with these numbers, (ids, values); and one more than the highest."""
        first = np.full(len(numbers), np.nan)
        known = numbers < len(self._first)
        first[known] = self._first[numbers[known]]
        if self.feature.buckets is not None:
            coded, cardinality = quantile_codes(np.where(np.isinf(first), np.nan, first), self.feature.buckets)
            return coded[:, None], cardinality
        texts, places = self._texts.sorted()
        blank = np.isnan(first)
        index = np.where(blank, 0, first).astype(np.int64)
        values = texts.take(pa.array(places[index] if len(places) else index, mask=blank))
        if self.feature.separator is not None:
            return list_codes(values.fill_null(""), self.feature.separator)
        coded, distinct = codes(values)
        return coded[:, None], len(distinct) + 1
