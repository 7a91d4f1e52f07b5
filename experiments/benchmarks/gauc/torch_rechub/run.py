"""GAUC by torch-rechub: ``torch_rechub.basic.metric.gauc_score``.

One user without both classes turns its result into NaN. So the rows of such users are taken out before the
clock starts, and a second, untimed call on a few users shows what it gives with one of them.

Usage: python run.py WORKLOAD_FOLDER RESULT_FOLDER
"""

import json
import math
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from torch_rechub.basic.metric import gauc_score


def main(workload: Path, results: Path) -> None:
    """Time one computation and write ``result.json``."""
    user, label, score, offsets = (np.load(workload / f"{name}.npy") for name in ("user", "label", "score", "offsets"))
    positives = np.add.reduceat(label, offsets[:-1], dtype=np.int64)
    two_classes = (positives > 0) & (positives < np.diff(offsets))
    kept = two_classes[user]
    # Its trainers collect labels and predictions in lists.
    labels, scores, users = label[kept].tolist(), score[kept].tolist(), user[kept].tolist()

    start = time.perf_counter()
    gauc = gauc_score(labels, scores, users)
    seconds = time.perf_counter() - start

    few = np.isin(user, [np.flatnonzero(two_classes)[0], np.flatnonzero(~two_classes)[0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with_one_class = gauc_score(label[few].tolist(), score[few].tolist(), user[few].tolist())

    result = {
        "seconds": seconds,
        "rows": len(scores),
        "gauc": float(gauc),
        "weighting": "impressions",
        "is_nan_with_a_one_class_user": math.isnan(with_one_class),
        "versions": {name: version(name) for name in ("torch-rechub", "torch", "numpy", "scikit-learn")},
    }
    (results / "result.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
