"""Outcomes as rows: one for each experiment and strategy, from which every table and picture is made."""

from collections.abc import Sequence
from typing import Any

from fedctr.block import numbers_of
from fedctr.grid.work import Outcome

Row = dict[str, Any]


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """One row per experiment and strategy, in the order of the plan.

    Returns:
        Each row has ``sweep``, every axis of the grid as ``axis.KEY``, ``folder``, ``status`` (``done``, ``failed`` or
        ``skipped``), ``reason``, ``dataset``, ``model``, ``seeds``, ``users``, ``global_ctr``, ``strategy``, and all
        numbers of the strategy's entry in ``summary.json``, nested ones with dots, such as
        ``vs_fine_tuning.by_drift.0-0.05.mean``. An experiment or a strategy without numbers has a row without them.
    """
    axes = dict.fromkeys(axis.key for outcome in outcomes for axis in outcome.sweep.axes)
    found: list[Row] = []
    for outcome in outcomes:
        experiment, summary = outcome.point.experiment, outcome.summary or {"strategies": {}}
        for strategy in experiment.strategies:
            entry = summary["strategies"].get(strategy)
            row: Row = {
                "sweep": outcome.sweep.name,
                **{f"axis.{key}": outcome.point.coordinates.get(key) for key in axes},
                "folder": str(experiment.out),
                "status": "skipped" if outcome.skipped else "failed" if entry is None else "done",
                "reason": outcome.skipped or (outcome.failed if entry is None else ""),
                "dataset": experiment.dataset,
                "model": experiment.model,
                "seeds": experiment.seeds,
                "users": summary.get("users"),
                "global_ctr": summary.get("global_ctr"),
                "strategy": strategy,
            }
            found.append(row | numbers_of(entry or {}))
    return found
