"""Strategies compared: metrics of each, and paired differences against the two baselines."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedctr import metrics
from fedctr.statistics import Interval, drift_bucket, paired_difference, sample_bucket
from fedctr.verdict import BASELINES, REFERENCE

Floats = npt.NDArray[np.float64]
Columns = dict[str, Floats]  # of one strategy, each (users, seeds), users in the same order for every strategy


def compare(test: pd.DataFrame, strategies: list[str], global_ctr: float) -> dict[str, Any]:
    """Metrics of every strategy and paired differences against the two baselines.

    Args:
        test: rows of the test part as in ``users.parquet``.
        strategies: which to report; those among them that are baselines are compared against.
        global_ctr: as published.

    Returns:
        Strategy to its entry in ``summary.json``; a comparison with an absent baseline is None.
    """
    columns = {spec: _columns(test[test["strategy"] == spec]) for spec in strategies}
    present = [baseline for baseline in BASELINES.values() if baseline in columns]
    pairs = {frozenset((spec, baseline)) for spec in columns for baseline in present if spec != baseline}
    found: dict[str, Any] = {}
    for spec, own in columns.items():
        entry = _metrics(own)
        reference = columns.get(REFERENCE)
        entry["share_harmed"] = (
            None if reference is None else _over_seeds(metrics.share_harmed, own["auc"], reference["auc"])
        )
        for key, baseline in BASELINES.items():
            other = columns.get(baseline)
            entry[key] = None if other is None else _differences(own, other, global_ctr, max(len(pairs), 1))
        found[spec] = entry
    return found


def _columns(rows: pd.DataFrame) -> Columns:
    wide = rows.pivot(index="user", columns="seed")
    names = rows.columns.difference(["user", "seed", "strategy", "split"])
    return {name: wide[name].to_numpy(dtype=np.float64) for name in names}


def _over_seeds(metric: Callable[..., float], *columns: Floats) -> float:
    """Mean over seeds of a metric of per-user columns."""
    return float(np.mean([metric(*(column[:, seed] for column in columns)) for seed in range(columns[0].shape[1])]))


def _metrics(own: Columns) -> dict[str, Any]:
    return {
        "auc_user_mean": _over_seeds(metrics.auc_user_mean, own["auc"]),
        "gauc_impressions": _over_seeds(metrics.gauc_impressions, own["auc"], own["samples"]),
        "users_covered": metrics.users_covered(own["auc"][:, 0]),
        "log_loss": _over_seeds(metrics.log_loss_impressions, own["log_loss"], own["samples"]),
        "calibration": _over_seeds(metrics.calibration, own["predicted_clicks"], own["positives"]),
        "ndcg_at_10": _over_seeds(metrics.ndcg_user_mean, own["ndcg_at_10"]),
        "diverged": int(own["diverged"].sum()),
    }


def _differences(own: Columns, other: Columns, global_ctr: float, comparisons: int) -> dict[str, Any]:
    auc = own["auc"] - other["auc"]
    samples = own["samples"][:, 0].astype(np.int64)
    return {
        **asdict(paired_difference(auc, comparisons)),
        "log_loss_user_mean_difference": _limits(paired_difference(own["log_loss"] - other["log_loss"])),
        "ndcg_at_10_difference": _limits(paired_difference(own["ndcg_at_10"] - other["ndcg_at_10"])),
        "gauc_impressions_difference": asdict(paired_difference(auc, comparisons, weights=own["samples"][:, 0])),
        "gauc_largest_share": metrics.largest_share(own["auc"].mean(1), other["auc"].mean(1), samples),
        "by_drift": dict(_by_bucket(auc, drift_bucket(_local_ctr(own) - global_ctr))),
        "by_local_samples": dict(
            _by_bucket(auc, sample_bucket(np.rint(own["local_samples"].mean(1)).astype(np.int64)))
        ),
    }


def _local_ctr(own: Columns) -> Floats:
    """Of the samples of all seeds, which may have drawn different ones; NaN for a user without any."""
    positives, samples = own["local_positives"].sum(1), own["local_samples"].sum(1)
    local_ctr: Floats = np.divide(positives, samples, out=np.full(len(samples), np.nan), where=samples > 0)
    return local_ctr


def _by_bucket(differences: Floats, buckets: pd.Categorical) -> Iterator[tuple[str, dict[str, Any] | None]]:
    for name in buckets.categories:
        inside = differences[np.asarray(buckets == name)]
        yield str(name), None if np.isnan(inside).all() else _limits(paired_difference(inside))


def _limits(interval: Interval) -> dict[str, Any]:
    return {key: getattr(interval, key) for key in ("mean", "low", "high", "users")}
