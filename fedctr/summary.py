"""From per-user rows to the numbers that a run is quoted by."""

import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedctr import metrics
from fedctr.data.split import Part
from fedctr.errors import FedctrError
from fedctr.protocol import validation_curve
from fedctr.run import Run
from fedctr.statistics import drift_bucket, paired_difference, sample_bucket
from fedctr.table import draw

Floats = npt.NDArray[np.float64]
BASELINES = {"vs_no_fine_tuning": "no-fine-tuning", "vs_fine_tuning": "fine-tuning"}
PACKAGES = ("fedctr", "flwr", "ray", "torch", "numpy", "pandas")


@dataclass(frozen=True, eq=False)
class Result:
    """What a benchmark found.

    Attributes:
        summary: the content of ``summary.json``.
        users: the content of ``users.parquet``.
        folder: the run folder.
    """

    summary: dict[str, Any]
    users: pd.DataFrame
    folder: Path

    def table(self) -> str:
        """The strategies side by side, as text."""
        return draw(self.summary)


def conclude(run: Run) -> Result:
    """Gather the cells into ``users.parquet`` and ``summary.json``.

    Raises:
        FedctrError: when clients failed; what the others computed has been written then.
    """
    global_ctr = run.published_facts(0)["global_ctr"]
    rows = _rows(run)
    complete = [spec for spec in run.strategies if all(run.cell("test", spec, seed).is_file() for seed in run.seeds)]
    users = _user_table(run, rows)
    summary: dict[str, Any] = {
        "dataset": run.experiment.dataset,
        "model": run.experiment.model,
        "global_ctr": global_ctr,
        "users": run.dataset.users,
        "seeds": run.experiment.seeds,
        "strategies": summarise(users[users["split"] == "test"], complete, global_ctr),
        "failures": [asdict(failure) for failure in run.failures],
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
    }
    for spec in complete:
        summary["strategies"][spec] |= _hyperparameters(run, spec)
    run.write_table(users, run.folder / "users.parquet")
    summary = _without_nan(summary)
    run.write_json(summary, run.folder / "summary.json")
    run.write_picture(summary, run.folder / "comparison.png")
    if run.failures:
        others = f" ({len(run.failures) - 1} more in log.txt)" if len(run.failures) > 1 else ""
        raise FedctrError(f"{run.failures[0]}{others}; what the others computed is kept in {run.folder}")
    return Result(summary, users, run.folder)


def summarise(test: pd.DataFrame, strategies: list[str], global_ctr: float) -> dict[str, Any]:
    """Metrics of every strategy and paired differences against the two baselines.

    Args:
        test: rows of the test part as in ``users.parquet``.
        strategies: which to report; those among them that are baselines are compared against.
        global_ctr: as published.

    Returns:
        Strategy to its entry in ``summary.json``; a comparison with an absent baseline is None.
    """
    columns = {spec: _Columns.of(test[test["strategy"] == spec]) for spec in strategies}
    present = [baseline for baseline in BASELINES.values() if baseline in columns]
    pairs = {frozenset((spec, baseline)) for spec in columns for baseline in present if spec != baseline}
    found: dict[str, Any] = {}
    for spec, own in columns.items():
        entry = own.metrics()
        reference = columns.get("no-fine-tuning")
        entry["share_harmed"] = own.over_seeds(metrics.share_harmed, "auc", reference, "auc") if reference else None
        for key, baseline in BASELINES.items():
            other = columns.get(baseline)
            entry[key] = None if other is None else _compare(own, other, global_ctr, max(len(pairs), 1))
        found[spec] = entry
    return found


@dataclass(frozen=True, eq=False)
class _Columns:
    """Columns of one strategy's test rows, each (users, seeds), users in the same order for every strategy."""

    values: dict[str, Floats]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "_Columns":
        wide = rows.pivot(index="user", columns="seed")
        names = rows.columns.difference(["user", "seed", "strategy", "split"])
        return cls({name: wide[name].to_numpy(dtype=np.float64) for name in names})

    def over_seeds(self, metric: Any, *arguments: Any) -> float:
        """Mean over seeds of a metric of per-user columns, named, or of another strategy's before the name."""
        source, columns = self, []
        for argument in arguments:
            if isinstance(argument, _Columns):
                source = argument
            else:
                columns.append(source.values[argument])
        return float(np.mean([metric(*(column[:, seed] for column in columns)) for seed in range(columns[0].shape[1])]))

    def metrics(self) -> dict[str, Any]:
        return {
            "auc_user_mean": self.over_seeds(metrics.auc_user_mean, "auc"),
            "gauc_impressions": self.over_seeds(metrics.gauc_impressions, "auc", "samples"),
            "users_covered": metrics.users_covered(self.values["auc"][:, 0]),
            "log_loss": self.over_seeds(metrics.log_loss_impressions, "log_loss", "samples"),
            "calibration": self.over_seeds(metrics.calibration, "predicted_clicks", "positives"),
            "ndcg_at_10": self.over_seeds(metrics.ndcg_user_mean, "ndcg_at_10"),
            "diverged": int(self.values["diverged"].sum()),
        }


def _compare(own: _Columns, other: _Columns, global_ctr: float, comparisons: int) -> dict[str, Any]:
    differences = own.values["auc"] - other.values["auc"]
    # A user who diverged in the test of one seed cannot be paired over seeds.
    differences[np.isnan(differences).any(1)] = np.nan
    samples = own.values["samples"][:, 0]
    drift = own.values["local_ctr"][:, 0] - global_ctr
    gauc = own.over_seeds(metrics.gauc_impressions, "auc", "samples")
    return {
        **asdict(paired_difference(differences, comparisons)),
        "gauc_impressions_difference": gauc - other.over_seeds(metrics.gauc_impressions, "auc", "samples"),
        "gauc_largest_share": metrics.largest_share(
            own.values["auc"].mean(1), other.values["auc"].mean(1), samples.astype(np.int64)
        ),
        "by_drift": dict(_by_bucket(differences, drift_bucket(drift))),
        "by_local_samples": dict(
            _by_bucket(differences, sample_bucket(own.values["local_samples"][:, 0].astype(np.int64)))
        ),
    }


def _by_bucket(differences: Floats, buckets: pd.Categorical) -> Iterator[tuple[str, dict[str, Any] | None]]:
    for name in buckets.categories:
        inside = differences[np.asarray(buckets == name)]
        if np.isnan(inside).all():
            yield str(name), None
            continue
        interval = paired_difference(inside)
        yield str(name), {key: getattr(interval, key) for key in ("mean", "low", "high", "users")}


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
    curve = validation_curve(_read(run, "validation", spec))
    return {
        "learning_rate": float(test["learning_rate"].iloc[0]),
        "epochs": int(test["epochs"].iloc[0]),
        "validation": curve.to_dict("records"),
    }


def _without_nan(value: Any) -> Any:
    """JSON has no NaN; what could not be computed is null."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
