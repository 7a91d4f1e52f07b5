"""A benchmark of client strategies as its folder keeps it."""

import re
from functools import cached_property
from typing import Any, ClassVar

from fedctr.block import Block, numbers_of
from fedctr.finished_run import FinishedRun
from fedctr.kept.run import Curve, SingleRun
from fedctr.result_table import block_of, caption_of, difference, number
from fedctr.verdict import BASELINES


class BenchmarkRun(SingleRun):
    """What ``fedctr bench`` has left."""

    kind: ClassVar[str] = "bench"
    holds: ClassVar[tuple[str, ...]] = ("identity.json", "cells")

    @property
    def finished(self) -> bool:
        """Whether all strategies have been compared."""
        return (self.folder / "summary.json").is_file()

    @cached_property
    def found(self) -> FinishedRun:
        """What is left of the run, if it is finished."""
        return FinishedRun.read(self.folder)

    def headline(self) -> str:
        """The gain of the strategy that the run is about, against no fine-tuning if that was run."""
        if not self.finished:
            parts = len(list((self.folder / "cells").glob("*.parquet")))
            return f"not finished: {parts} {'part' if parts == 1 else 'parts'} kept"
        spec = self.found.subject
        if spec is None:
            return "no fine-tuning alone, so nothing was compared"
        entry = self.found.strategies[spec]
        for key, baseline in BASELINES.items():
            if spec != baseline and entry[key]:
                return f"{spec} {difference(entry[key]).rstrip()} against {baseline}"
        return f"{spec}: user AUC {number(entry['auc_user_mean'])}"

    def figures(self) -> dict[str, float]:
        """Of each strategy its metrics, and its differences against the two baselines with their limits."""
        wanted = re.compile(rf"\w+|({'|'.join(BASELINES)})\.\w+")
        return {
            f"{spec}/{name}": float(value)
            for spec, entry in self.found.strategies.items()
            for name, value in numbers_of(entry).items()
            if wanted.fullmatch(name) and value is not None
        }

    def curves(self) -> dict[str, Curve]:
        """Of each seed the global model by epoch or round; of each strategy what validation chose from."""
        curves: dict[str, Curve] = {}
        for seed, training in self.found.global_trainings.items():
            by = {"epoch": "cloud", "round": "federated"}[training.step]
            for step, measured in training.validation.items():
                for name, value in measured.items():
                    curves.setdefault(f"{by} {name}/seed {seed}", []).append((step, float(value)))
        for spec, entry in self.found.strategies.items():
            for trial in entry["validation"]:
                if trial["auc_user_mean"] is not None:
                    name = f"validation {spec}/learning rate {trial['learning_rate']:g}"
                    curves.setdefault(name, []).append((trial["epochs"], float(trial["auc_user_mean"])))
        return curves

    def rows(self) -> list[dict[str, Any]]:
        """A row for each strategy, with all numbers of its entry in ``summary.json``, nested ones with dots."""
        names = ("dataset", "model", "seeds", "users", "global_ctr")
        facts = {"folder": str(self.folder), **{name: self.found.summary[name] for name in names}}
        return [{**facts, "strategy": spec, **numbers_of(entry)} for spec, entry in self.found.strategies.items()]

    def table(self) -> tuple[Block, str]:
        """The strategies side by side."""
        summary = dict(self.found.summary)
        return block_of(summary), caption_of(summary)
