"""From the raw ids and values of a table to the rows and codes of a data set."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fedctr.data.table import Table

Positions = npt.NDArray[np.intp]
Whole = npt.NDArray[np.int64]
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
    """The ids that a table describes.

    Returns:
        Ids in ascending order, int64 (rows,); and the row of the table that describes each.

    Raises:
        FedctrError: when an id is no number from 1, or is described twice.
    """
    found = table.whole(field, 1, MOST)
    rows = np.argsort(found, kind="stable")
    repeated = np.flatnonzero(np.diff(found[rows]) == 0)
    if len(repeated):
        first, second = (int(row) for row in rows[repeated[0] : repeated[0] + 2])
        raise table.fault(second, field, f"{found[second]} is already described on line {table.line(first)}")
    return found[rows], rows


def rows_of(table: Table, field: str, known: Whole, described_in: str) -> Positions:
    """Where the ids of a column stand among the known ones, which ascend.

    Raises:
        FedctrError: when one is not known; ``described_in`` names the file that should describe it.
    """
    wanted = table.whole(field, 1, MOST)
    rows = np.searchsorted(known, wanted)
    inside = rows < len(known)
    inside[inside] = known[rows[inside]] == wanted[inside]
    table.require(field, inside, f"an id that {described_in} describes")
    return rows


def refuse_repeated(table: Table, user: Positions, item: Positions, time: Whole) -> None:
    """Refuse a second impression of one item on one user.

    Args:
        table: has the columns user and item.
        user: (rows,), rows of users.
        item: (rows,), rows of items.
        time: int64 (rows,), seconds.

    Raises:
        FedctrError: with the lines of both.
    """
    pairs = pd.Series(user.astype(np.int64) * MOST + item)
    repeated = pairs.duplicated().to_numpy()
    if not repeated.any():
        return
    second = int(np.argmax(repeated))
    first = int(np.argmax((pairs == pairs[second]).to_numpy()))
    when = "at the same time" if time[first] == time[second] else "at another time"
    pair = " and item ".join(table.columns[field][second].as_py() for field in ("user", "item"))
    raise table.fault(second, "item", f"duplicate of line {table.line(first)}: user {pair}, {when}")
