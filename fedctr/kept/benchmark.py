"""A benchmark of client strategies as its folder keeps it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fedctr.block import Block, numbers_of
from fedctr.counted import counted
from fedctr.global_training import GlobalTraining
from fedctr.kept.run import Curve, SummarisedRun
from fedctr.result_table import block_of, caption_of, difference, number
from fedctr.verdict import BASELINES, subject_of

if TYPE_CHECKING:
    from fedctr.user_rows import TestRows


class BenchmarkRun(SummarisedRun):
    """What ``fedctr bench`` has left."""

    kind: ClassVar[str] = "bench"
    holds: ClassVar[tuple[str, ...]] = ("identity.json", "cells")
    called: ClassVar[tuple[str, str]] = ("benchmark", "run")

    @staticmethod
    def _is_whole(summary: dict[str, Any]) -> bool:
        return isinstance(summary.get("strategies"), dict)

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

    def headline(self) -> str:
        """The gain of the strategy that the run is about, against no fine-tuning if that was run."""
        if not self.finished:
            parts = len(list((self.folder / "cells").glob("*.parquet")))
            return f"not finished: {counted(parts, 'part')} kept"
        spec = self.subject
        if spec is None:
            return "no fine-tuning alone, so nothing was compared"
        entry = self.strategies[spec]
        for key, baseline in BASELINES.items():
            if spec != baseline and entry[key]:
                return f"{spec} {difference(entry[key]).rstrip()} against {baseline}"
        return f"{spec}: user AUC {number(entry['auc_user_mean'])}"

    def figures(self) -> dict[str, float]:
        """Of each strategy its metrics, and its differences against the two baselines with their limits."""
        wanted = re.compile(rf"\w+|({'|'.join(BASELINES)})\.\w+")
        return {
            f"{spec}/{name}": float(value)
            for spec, entry in self.strategies.items()
            for name, value in numbers_of(entry).items()
            if wanted.fullmatch(name) and value is not None
        }

    def curves(self) -> dict[str, Curve]:
        """Of each seed the global model by epoch or round; of each strategy what validation chose from."""
        curves: dict[str, Curve] = {}
        for seed, training in self.global_trainings.items():
            by = {"epoch": "cloud", "round": "federated"}[training.step]
            for step, measured in training.validation.items():
                for name, value in measured.items():
                    curves.setdefault(f"{by} {name}/seed {seed}", []).append((step, float(value)))
        for spec, entry in self.strategies.items():
            for trial in entry["validation"]:
                if trial["auc_user_mean"] is not None:
                    name = f"validation {spec}/learning rate {trial['learning_rate']:g}"
                    curves.setdefault(name, []).append((trial["epochs"], float(trial["auc_user_mean"])))
        return curves

    def rows(self) -> list[dict[str, Any]]:
        """A row for each strategy, with all numbers of its entry in ``summary.json``, nested ones with dots."""
        names = ("dataset", "model", "seeds", "users", "global_ctr")
        facts = {"folder": str(self.folder), **{name: self.summary[name] for name in names}}
        return [{**facts, "strategy": spec, **numbers_of(entry)} for spec, entry in self.strategies.items()]

    def table(self) -> tuple[Block, str]:
        """The strategies side by side."""
        return block_of(self.summary), caption_of(self.summary)
