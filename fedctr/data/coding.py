"""From the raw ids and values of a table to the rows and codes of a data set."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data.table import Table

Positions = npt.NDArray[np.intp]
Rows = npt.NDArray[np.int32]
Whole = npt.NDArray[np.int64]
Names = tuple[Sequence[object] | npt.NDArray[np.generic], Sequence[object] | npt.NDArray[np.generic]]
LATEST = 10**11  # seconds: the year 5138
MOST = 10**9  # ids and codes are kept in 32 bits


def codes(values: pa.StringArray) -> tuple[Positions, list[str]]:
    """Codes of a categorical column, which do not depend on the order of its rows.

    Args:
        values: strings (rows,); null and blank are missing.

    Returns:
        Codes (rows,), 0 where missing, else 1, 2, ... in the sorted order of the distinct values; and those
        values.
    """
    known = pd.Series(values.to_pylist(), dtype=object).replace("", None)
    positions, distinct = pd.factorize(known, sort=True)
    return positions + 1, list(distinct)


def flag_codes(names: Sequence[str], flags: npt.NDArray[np.bool_]) -> tuple[Positions, list[str]]:
    """Codes of a multi-valued column that is given as one flag per value.

    Args:
        names: of the values, (values,).
        flags: bool (rows, values).

    Returns:
        Codes (rows, most values of a row, at least 1), ascending and then padded with 0; and the values in
        use, sorted.
    """
    used = [value for value in np.argsort(np.array(names)) if flags[:, value].any()]
    row, value = np.nonzero(flags[:, used])
    counts = np.bincount(row, minlength=len(flags))
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    padded = np.zeros((len(flags), max(1, counts.max(initial=0))), dtype=np.intp)
    padded[row, place] = value + 1
    return padded, [names[value] for value in used]


def ids(table: Table, field: str) -> tuple[Whole, Positions]:
    """The ids that a table describes in its good rows; check all other columns before.

    Returns:
        Ids in ascending order, int64 (ids,); and the row of the table that describes each.

    Raises:
        FedctrError: when an id is no number from 1, or is described twice, if reading stops at bad rows.
    """
    found = table.whole(field, 1, MOST)
    first = pd.Series(found).where(table.good).drop_duplicates().dropna()
    fresh = ~table.good
    fresh[first.index] = True
    line = dict(zip(first.astype(np.int64), table.lines[first.index], strict=True)) if not fresh.all() else {}
    table.refuse(field, fresh, lambda row: f"{found[row]} is already described on line {line[found[row]]}")
    rows = np.flatnonzero(table.good)
    rows = rows[np.argsort(found[rows], kind="stable")]
    return found[rows], rows


def rows_of(table: Table, field: str, known: Whole, described_in: str) -> Rows:
    """Where the ids of a column stand among the known ones, which ascend; 0 for those that are not known.

    Returns:
        int32 (rows,), half the memory of the usual positions: tens of millions of them are kept.

    Raises:
        FedctrError: when one is not known, if reading stops at bad rows; ``described_in`` names the file that should
            describe it.
    """
    wanted = table.whole(field, 1, MOST)
    rows = np.searchsorted(known, wanted)
    inside = rows < len(known)
    inside[inside] = known[rows[inside]] == wanted[inside]
    table.require(field, inside, f"an id that {described_in} describes")
    rows[~inside] = 0
    return rows.astype(np.int32)


class Numbering:
    """Numbers for distinct texts that arrive block by block."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, values: pa.StringArray) -> Whole:
        """A number for each text, the same for equal ones, in the order of arrival; int64 (rows,)."""
        distinct = pc.dictionary_encode(values)
        numbers = self._numbers
        here = np.array(
            [numbers.setdefault(value, len(numbers)) for value in distinct.dictionary.to_pylist()], np.int64
        )
        return here[distinct.indices.to_numpy()] if len(here) else here

    def sorted(self) -> tuple[pa.StringArray, Whole]:
        """All texts in ascending order, which does not depend on that of arrival; and the place of each number."""
        texts = pa.array(list(self._numbers), pa.string())
        order = pc.sort_indices(texts).to_numpy().astype(np.int64)
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        return texts.take(pa.array(order)), places


def refuse_repeated(table: Table, user: Positions | Rows, item: Positions | Rows, time: Whole, names: Names) -> None:
    """Refuse a second impression of one item on one user.

    Args:
        table: whose rows these are; its columns are not needed.
        user: (rows,), rows of users.
        item: (rows,), rows of items.
        time: int64 (rows,), seconds.
        names: the raw ids of users, and of items.

    Raises:
        FedctrError: with the lines of both, if reading stops at bad rows.
    """
    keys = user.astype(np.int64) * MOST + item
    ascending = np.sort(keys)
    if not (ascending[1:] == ascending[:-1]).any():
        return  # found out at half the time and memory of looking for the rows
    pairs = pd.Series(keys)
    repeated = pairs.duplicated().to_numpy()

    def problem(second: int) -> str:
        first = int(np.argmax((pairs == pairs[second]).to_numpy()))
        when = "at the same time" if time[first] == time[second] else "at another time"
        pair = f"user {names[0][user[second]]} and item {names[1][item[second]]}"
        return f"duplicate of line {table.lines[first]}: {pair}, {when}"

    table.refuse("item", ~repeated, problem)


def whole_codes(values: Whole, missing: int) -> tuple[Positions, int]:
    """Codes of a categorical column of whole numbers.

    Args:
        values: int64 (rows,).
        missing: stands for a missing value.

    Returns:
        Codes (rows,), 0 where missing, else 1, 2, ... in the order of the distinct values; and one more than the
        highest.
    """
    distinct = np.unique(values[values != missing])
    return np.where(values == missing, 0, np.searchsorted(distinct, values) + 1), len(distinct) + 1


def quantile_codes(values: npt.NDArray[np.float64], buckets: int) -> tuple[Positions, int]:
    """Codes of a column of numbers, cut at its own quantiles.

    Args:
        values: float64 (rows,), NaN where missing.
        buckets: how many, of about as many values each; equal values share one, so there may be fewer.

    Returns:
        Codes (rows,), 0 where missing, else 1, 2, ... from the least to the greatest; and one more than the highest.
    """
    missing = np.isnan(values)
    known = values[~missing]
    if len(known) == 0:
        return np.zeros(len(values), np.intp), 1
    edges = np.unique(np.quantile(known, np.arange(1, buckets) / buckets, method="inverted_cdf"))
    edges = edges[edges < known.max()]
    # A bucket includes its upper edge, so each edge, being one of the values, makes none empty.
    return np.where(missing, 0, np.searchsorted(edges, values, side="left") + 1), len(edges) + 2


def list_codes(values: pa.StringArray, separator: str) -> tuple[Positions, int]:
    """Codes of a multi-valued column that is given as one text per row.

    Args:
        values: strings (rows,), the values of a row with a separator between them; blank ones are missing.
        separator: not empty.

    Returns:
        Codes (rows, most values of a row, at least 1), ascending and then padded with 0, each value of a row once; and
        one more than the highest.
    """
    listed = pc.split_pattern(values, separator)
    rows = pc.list_parent_indices(listed).to_numpy().astype(np.int64)
    position, distinct = codes(pc.utf8_trim_whitespace(listed.flatten()))
    pairs = np.unique((rows * (len(distinct) + 1) + position)[position > 0])
    row, code = np.divmod(pairs, len(distinct) + 1)
    counts = np.bincount(row, minlength=len(values))
    padded = np.zeros((len(values), max(1, counts.max(initial=0))), dtype=np.intp)
    padded[row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)] = code
    return padded, len(distinct) + 1
