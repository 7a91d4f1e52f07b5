"""A finished benchmark as its folder holds it, for whatever is made of it afterwards."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fedctr.comparison import BASELINES
from fedctr.errors import FedctrError
from fedctr.folder import read_json
from fedctr.registry import parse, split_outside_brackets

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What a benchmark has left.

    Attributes:
        folder: the run folder.
        summary: the content of ``summary.json``.
        config: the content of ``config.toml``.
    """

    folder: Path
    summary: Mapping[str, Any]
    config: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "FinishedRun":
        """Read a run folder, all but its rows of users.

        Raises:
            FedctrError: when it holds no benchmark, one that is not finished, or damaged files.
        """
        if not (folder / "identity.json").is_file():
            raise FedctrError(f"{folder}: is not the folder of a run")
        if not (folder / "summary.json").is_file():
            raise FedctrError(f"{folder}: the benchmark is not finished; start it again with --out {folder} to go on")
        summary = read_json(folder / "summary.json")
        if not isinstance(summary, dict) or "strategies" not in summary:
            raise FedctrError(f"{folder}/summary.json: damaged; start the run again with --out {folder}")
        return cls(folder, summary, read_toml(folder / "config.toml"))

    @property
    def strategies(self) -> dict[str, dict[str, Any]]:
        """Spec to its entry in ``summary.json``, in the order of the run."""
        return dict(self.summary["strategies"])

    @property
    def subject(self) -> str | None:
        """What the run is about."""
        return subject_of(list(self.strategies))

    def test_rows(self, columns: Sequence[str]) -> "TestRows":
        """Numbers of every user on the test part, read without the columns that are not asked for.

        Args:
            columns: of ``users.parquet``; numbers.

        Raises:
            FedctrError: when the file is missing or damaged.
        """
        file = self.folder / "users.parquet"
        try:
            table = pq.read_table(
                file, columns=["user", "strategy", "seed", *columns], filters=[("split", "==", "test")]
            )
            return _by_strategy(table, list(self.strategies), self.summary["seeds"], columns)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise FedctrError(f"{file}: cannot be read ({' '.join(str(error).split())})") from None


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


def subject_of(strategies: Sequence[str]) -> str | None:
    """What a run of these is about: a label correction, rather alone than composed, or else what is no baseline."""
    others = [spec for spec in strategies if spec not in BASELINES.values()]
    corrections = [spec for spec in others if "label-correction" in _names(spec)]
    corrections.sort(key=lambda spec: len(_names(spec)))
    tuned = [spec for spec in strategies if spec != "no-fine-tuning"]
    return next(iter([*corrections, *others, *tuned]), None)


def _names(spec: str) -> list[str]:
    """Of a strategy's components."""
    return [parse(part).name for part in split_outside_brackets(spec, "+")]


def read_toml(file: Path) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        FedctrError: when it is missing or damaged.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FedctrError(f"{file}: cannot be read ({' '.join(str(error).split())})") from None


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
