"""Numbers of every user, as ``users.parquet`` and the cells of a run hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fedctr.errors import FedctrError

Floats = npt.NDArray[np.float64]
LONGEST = 80  # characters of what Arrow has to say
UNLIKE = ("log_loss", "ndcg_at_10", "predicted_clicks")  # columns of which hardly any two values are equal


@dataclass(frozen=True, eq=False)
class TestRows:
    """Numbers of users on the test part.

    Attributes:
        users: raw ids, text (users,).
        columns: strategy to column to float64 (users, seeds), NaN where there is none.
    """

    __test__ = False  # for pytest, whom the name deceives

    users: pa.Array
    columns: dict[str, dict[str, Floats]]


def write_rows(rows: pd.DataFrame, file: Path) -> None:
    """Write rows of users; values that hardly any two of them share go without a dictionary, in half the time."""
    rows.to_parquet(file, index=False, use_dictionary=[name for name in rows if name not in UNLIKE])


def read_test_rows(file: Path, strategies: Sequence[str], seeds: int, columns: Sequence[str]) -> TestRows:
    """Numbers of every user on the test part, read without the columns that are not asked for.

    Args:
        file: ``users.parquet`` of a run.
        strategies: those of the run.
        seeds: how many the run has.
        columns: numbers.

    Raises:
        FedctrError: when the file is missing or damaged.
    """
    try:
        table = pq.read_table(file, columns=["user", "strategy", "seed", *columns], filters=[("split", "==", "test")])
        return _by_strategy(table, strategies, seeds, columns)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:LONGEST]
        raise FedctrError(
            f"{file}: cannot be read ({reason}); delete it and start the run again with --out {file.parent} to make it "
            "anew from the parts that are kept"
        ) from None


def _by_strategy(table: pa.Table, strategies: Sequence[str], seeds: int, columns: Sequence[str]) -> TestRows:
    """Every strategy and seed has its users in the same order, which spares a join over millions of rows."""
    specs = np.asarray(pc.index_in(table["strategy"], value_set=pa.array(strategies, pa.string())).fill_null(-1))
    seed_of_row = np.asarray(table["seed"])
    users: pa.Array | None = None
    found: dict[str, dict[str, Floats]] = {}
    for code, spec in enumerate(strategies):
        parts = []
        for seed in range(seeds):
            rows = table.take(pa.array(np.flatnonzero((specs == code) & (seed_of_row == seed)))).combine_chunks()
            own = rows["user"].combine_chunks()
            users = own if users is None else users
            if not own.equals(users):
                raise ValueError(f"users of {spec}, seed {seed}, are not those of the others, or in another order")
            parts.append([np.asarray(rows[name].cast(pa.float64()).fill_null(np.nan)) for name in columns])
        found[spec] = {name: np.column_stack([part[place] for part in parts]) for place, name in enumerate(columns)}
    return TestRows(pa.array([], pa.string()) if users is None else users, found)
