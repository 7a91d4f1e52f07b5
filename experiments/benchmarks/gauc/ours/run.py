"""GAUC by fedctr, in the weighting of every peer.

Usage: python run.py WORKLOAD_FOLDER RESULT_FOLDER
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from fedctr import metrics


def gauc_by_weighting(scores: metrics.Scores, labels: metrics.Labels, offsets: metrics.Integers) -> dict[str, float]:
    """Aggregate the AUC of the users in four ways, named as in the results of the peers.

    Args:
        scores: float32 or float64 (rows,).
        labels: uint8 (rows,), 0 or 1.
        offsets: int64 (users + 1,), the rows of each user.

    Returns:
        ``impressions`` and ``positives`` weight a user by those; ``none`` is the plain mean. These three are over
        the users with both classes, the others having no AUC. ``none, one-class users as 0`` is over all users.
    """
    auc = metrics.user_auc(scores, labels, offsets)
    positives = np.add.reduceat(labels, offsets[:-1], dtype=np.int64)
    return {
        "impressions": metrics.gauc_impressions(auc, np.diff(offsets)),
        "positives": metrics.gauc_impressions(auc, positives),
        "none": metrics.auc_user_mean(auc),
        "none, one-class users as 0": metrics.auc_user_mean(np.nan_to_num(auc, nan=0.0)),
    }


def main(workload: Path, results: Path) -> None:
    """Time one computation of all aggregates and write ``result.json``."""
    label, score, offsets = (np.load(workload / f"{name}.npy") for name in ("label", "score", "offsets"))

    start = time.perf_counter()
    gauc = gauc_by_weighting(score, label, offsets)
    seconds = time.perf_counter() - start

    result = {
        "seconds": seconds,
        "rows": len(score),
        "gauc": gauc["impressions"],
        "weighting": "impressions",
        "gauc_by_weighting": gauc,
        "versions": {name: version(name) for name in ("fedctr", "numpy")},
    }
    (results / "result.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
