"""A finished benchmark as its folder holds it, for whatever is made of it afterwards."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedctr.errors import FedctrError
from fedctr.folder import read_json
from fedctr.global_training import GlobalTraining
from fedctr.registry import parse, split_outside_brackets
from fedctr.verdict import BASELINES, REFERENCE

if TYPE_CHECKING:
    from fedctr.user_rows import TestRows


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
        if not isinstance(summary, dict) or not isinstance(summary.get("strategies"), dict):
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

    @property
    def global_trainings(self) -> dict[int, GlobalTraining]:
        """Seed to how its global model was trained, by this run or the one that it is borrowed from, if it is kept."""
        published = self.folder / "published"
        found = {seed: GlobalTraining.of(published / f"seed-{seed}") for seed in range(self.summary["seeds"])}
        return {seed: training for seed, training in found.items() if training}

    def test_rows(self, columns: Sequence[str]) -> "TestRows":
        """Numbers of every user on the test part, read without the columns that are not asked for.

        Args:
            columns: of ``users.parquet``; numbers.

        Raises:
            FedctrError: when the file is missing or damaged.
        """
        from fedctr.user_rows import read_test_rows  # imports take a second, which a listing of runs need not wait for

        return read_test_rows(self.folder / "users.parquet", list(self.strategies), self.summary["seeds"], columns)


def subject_of(strategies: Sequence[str]) -> str | None:
    """What a run of these is about: a label correction, rather alone than composed, or else what is no baseline."""
    others = [spec for spec in strategies if spec not in BASELINES.values()]
    corrections = [spec for spec in others if "label-correction" in _names(spec)]
    corrections.sort(key=lambda spec: len(_names(spec)))
    tuned = [spec for spec in strategies if spec != REFERENCE]
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
        raise FedctrError(
            f"{file}: cannot be read ({' '.join(str(error).split())}); start the run again with --out {file.parent} to "
            "write it anew"
        ) from None
