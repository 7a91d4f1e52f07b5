"""GAUC by torchmetrics: ``RetrievalAUROC`` with its defaults, a query being a user.

Usage: python run.py WORKLOAD_FOLDER RESULT_FOLDER
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torchmetrics.retrieval import RetrievalAUROC


def main(workload: Path, results: Path) -> None:
    """Time one computation and write ``result.json``."""
    user, label, score = (torch.from_numpy(np.load(workload / f"{name}.npy")) for name in ("user", "label", "score"))
    label = label.long()

    start = time.perf_counter()
    metric = RetrievalAUROC()
    metric.update(score, label, indexes=user)
    gauc = metric.compute()
    seconds = time.perf_counter() - start

    result = {
        "seconds": seconds,
        "rows": len(score),
        "gauc": float(gauc),
        "weighting": "none, one-class users as 0",
        "versions": {name: version(name) for name in ("torchmetrics", "torch", "numpy")},
    }
    (results / "result.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
