"""GAUC by FuxiCTR: ``fuxictr.metrics.evaluate_metrics`` with the metric "gAUC".

Usage: python run.py WORKLOAD_FOLDER RESULT_FOLDER
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from fuxictr.metrics import evaluate_metrics


def main(workload: Path, results: Path) -> None:
    """Time one computation and write ``result.json``."""
    user, label, score = (np.load(workload / f"{name}.npy") for name in ("user", "label", "score"))
    # FuxiCTR's models evaluate in float64.
    label, score = label.astype(np.float64), score.astype(np.float64)

    start = time.perf_counter()
    gauc = evaluate_metrics(label, score, ["gAUC"], group_id=user)["gAUC"]
    seconds = time.perf_counter() - start

    result = {
        "seconds": seconds,
        "rows": len(score),
        "gauc": float(gauc),
        "weighting": "impressions",
        "versions": {name: version(name) for name in ("fuxictr", "numpy", "polars", "scikit-learn")},
    }
    (results / "result.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
