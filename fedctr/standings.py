"""What is known of every strategy while a benchmark runs, for the eye: the numbers to quote come when all is in."""

from collections import defaultdict
from dataclasses import dataclass, field

import pandas as pd

from fedctr.data.split import Part
from fedctr.metrics import auc_user_mean
from fedctr.protocol import Trial, choose, validation_curve
from fedctr.result_table import number
from fedctr.run import Run
from fedctr.verdict import REFERENCE

COLUMNS = ["learning_rate", "epochs", "auc", "diverged"]  # of a cell, that are read here


@dataclass(frozen=True)
class Standings:
    """The cells so far, each as the few numbers that are shown of it.

    Attributes:
        run: whose reporter is told.
    """

    run: Run
    _curves: dict[str, list[pd.DataFrame]] = field(default_factory=lambda: defaultdict(list))
    _aucs: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    _trials: dict[str, Trial] = field(default_factory=dict)

    def announce(self) -> None:
        """A line for each strategy, in the order of the run."""
        for spec in self.run.strategies:
            self._tell(spec)

    def add(self, part: Part, spec: str, seed: int, rows: pd.DataFrame) -> None:
        """Take a cell in that is whole.

        Args:
            part: validation or test.
            spec: the strategy.
            seed: which one.
            rows: with ``COLUMNS``, a row for each user and trial.
        """
        if part == "validation":
            self._curves[spec].append(validation_curve(rows.assign(seed=seed)))
        else:
            self._aucs[spec][seed] = auc_user_mean(rows["auc"].to_numpy())
            if self.run.strategies[spec].tunes:
                self._trials[spec] = Trial(float(rows["learning_rate"].iloc[0]), int(rows["epochs"].iloc[0]))
        for told in self.run.strategies if spec == REFERENCE else (spec,):
            self._tell(told)

    def _tell(self, spec: str) -> None:
        seeds, aucs = len(self.run.seeds), self._aucs[spec]
        cells = dict.fromkeys(["tuned with", *(["validation AUC"] if len(self.run.trials) > 1 else []), "user AUC"], "")
        if curves := self._curves[spec]:
            mean = pd.concat(curves).groupby(["learning_rate", "epochs"])[["auc_user_mean"]].mean().reset_index()
            if trial := choose(mean):
                if not aucs:
                    self._trials[spec] = trial
                cells["validation AUC"] = _so_far(float(mean["auc_user_mean"].max()), len(curves), seeds)
        if spec in self._trials:
            cells["tuned with"] = f"{self._trials[spec].learning_rate:g} x {self._trials[spec].epochs}"
        if aucs:
            cells["user AUC"] = _so_far(sum(aucs.values()) / len(aucs), len(aucs), seeds)
        if both := spec != REFERENCE and aucs.keys() & self._aucs[REFERENCE].keys():
            gain = sum(aucs[seed] - self._aucs[REFERENCE][seed] for seed in both) / len(both)
            cells[f"vs {REFERENCE}"] = _so_far(gain, len(both), seeds, "+.4f")
        whole = REFERENCE not in self.run.strategies or len(self._aucs[REFERENCE]) == seeds
        self.run.reporter.row(spec, cells, final=whole and len(aucs) == seeds)


def _so_far(value: float, seeds: int, of: int, form: str = ".4f") -> str:
    return number(value, form) + ("" if seeds == of else f" ({seeds} of {of} seeds)")
