"""From per-user rows to the numbers that a run is quoted by."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedctr.comparison import compare
from fedctr.data.split import Part
from fedctr.errors import FedctrError
from fedctr.folder import without_nan, write_whole, writing
from fedctr.gating import gate_report, ungated
from fedctr.messages import Failure, complaint
from fedctr.picture import draw_comparison
from fedctr.protocol import validation_curve
from fedctr.result_table import render
from fedctr.run import Run
from fedctr.user_rows import write_rows
from fedctr.verdict import REFERENCE
from fedctr.versions import versions


@dataclass(frozen=True, eq=False)
class Result:
    """What a benchmark found.

    Attributes:
        summary: the content of ``summary.json``.
        users: the content of ``users.parquet``.
        folder: the run folder.
        failures: clients that could not do a task; a strategy that one of them failed at is not in the summary.
        reused: whether the run was finished already, so that nothing was computed.
    """

    summary: dict[str, Any]
    users: pd.DataFrame
    folder: Path
    failures: tuple[Failure, ...] = ()
    reused: bool = False

    @property
    def complaint(self) -> str:
        """What failed, in one line; empty where nothing did."""
        return complaint(self.failures, f"what the others computed is kept in {self.folder}")

    def table(self, *, ranked: bool = False) -> str:
        """The strategies side by side, as text, in their own order or by their gain in GAUC, the largest first."""
        return render(self.summary, ranked=ranked)


def kept_result(run: Run) -> Result | None:
    """What a finished run found, if nothing has changed since; None where there is something left to do."""
    files = [run.folder / name for name in ("summary.json", "users.parquet", "comparison.png")]
    cells = _test_cells(run, [*run.strategies])
    if not all(file.is_file() for file in [*files, *cells]):
        return None
    try:
        summary: dict[str, Any] = json.loads(files[0].read_text(encoding="utf-8"))
        if summary["versions"] != versions() or summary["failures"] or list(summary["strategies"]) != [*run.strategies]:
            return None
        if summary["cells"] != [cell.name for cell in cells]:  # those of other code may lie beside them
            return None
        return Result(summary, pd.read_parquet(files[1]), run.folder, reused=True)
    except (OSError, ValueError, KeyError, TypeError):  # whatever cannot be read is made again from the cells
        return None


def conclude(run: Run) -> Result:
    """Gather the cells into ``users.parquet`` and ``summary.json``.

    Raises:
        FedctrError: when clients failed and no row is left.
    """
    global_ctr = run.published_facts(0)["global_ctr"]
    rows = _rows(run)
    complete = [spec for spec in run.strategies if all(run.cell("test", spec, seed).is_file() for seed in run.seeds)]
    users = _user_table(run, rows)
    test = users[users["split"] == "test"]
    summary: dict[str, Any] = {
        "dataset": run.experiment.dataset,
        "model": run.experiment.model,
        "global_ctr": global_ctr,
        "users": run.dataset.users,
        "seeds": run.experiment.seeds,
        "strategies": compare(test, complete, global_ctr),
        "failures": [asdict(failure) for failure in run.failures],
        "cells": [cell.name for cell in _test_cells(run, complete)],
        "versions": versions(),
    }
    for spec in complete:
        summary["strategies"][spec] |= _hyperparameters(run, spec)
    if REFERENCE in complete:
        gates = gate_report(test, ungated({spec: run.strategies[spec] for spec in complete}))
        for spec, report in gates.items():
            summary["strategies"][spec]["gate"] = report
    summary = without_nan(summary)
    file = run.folder / "summary.json"
    with writing(file):
        file.unlink(missing_ok=True)  # while it is there, the other files are of the same cells
    write_whole(run.folder / "users.parquet", partial(write_rows, users))
    write_whole(run.folder / "comparison.png", lambda fresh: draw_comparison(summary, fresh, ranked=run.ranked))
    write_whole(file, lambda fresh: fresh.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n"))
    return Result(summary, users, run.folder, tuple(run.failures))


def _test_cells(run: Run, specs: Sequence[str]) -> list[Path]:
    return [run.cell("test", spec, seed) for spec in specs for seed in run.seeds]


def _rows(run: Run) -> pd.DataFrame:
    """Test rows, and validation rows of the trials that were chosen (of all trials where none was)."""
    tables = []
    for spec in run.strategies:
        test = _read(run, "test", spec)
        validation = _read(run, "validation", spec)
        if len(validation) and len(test):
            trial = ["learning_rate", "epochs"]
            validation = validation.merge(test[trial].drop_duplicates(), on=trial)
        tables += [table for table in (validation, test) if len(table)]
    if not tables:
        raise FedctrError(
            f"{run.failures[0]}; no client was left" if run.failures else f"{run.folder}: no row was computed"
        )
    return pd.concat(tables, ignore_index=True)


def _read(run: Run, part: Part, spec: str) -> pd.DataFrame:
    tables = []
    for seed in run.seeds:
        cell = run.cell(part, spec, seed)
        for file in (cell, cell.with_suffix(".partial")):
            if file.is_file():
                tables.append(pd.read_parquet(file).assign(strategy=spec, seed=seed, split=part))
                break
    return pd.concat(tables) if tables else pd.DataFrame()


def _user_table(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    ids = run.dataset.user_ids.take(rows["user"].to_numpy()).to_numpy(zero_copy_only=False)
    local = rows["local_samples"].to_numpy()
    table = rows.assign(
        user=ids,
        local_ctr=np.where(local > 0, rows["local_positives"] / np.maximum(local, 1), np.nan),
    )
    first = [
        "user",
        "strategy",
        "seed",
        "split",
        "samples",
        "positives",
        "local_samples",
        "local_positives",
        "local_ctr",
    ]
    return table[first + [name for name in table.columns if name not in first]]


def _hyperparameters(run: Run, spec: str) -> dict[str, Any]:
    if not run.strategies[spec].tunes:
        return {"learning_rate": None, "epochs": None, "validation": []}
    test = pd.read_parquet(run.cell("test", spec, 0))
    validation = _read(run, "validation", spec)  # none where there was nothing to choose
    return {
        "learning_rate": float(test["learning_rate"].iloc[0]),
        "epochs": int(test["epochs"].iloc[0]),
        "validation": validation_curve(validation).to_dict("records") if len(validation) else [],
    }
