"""GAUC by RecBole: its ``Collector`` and ``Evaluator`` with the metric "GAUC", as its trainer calls them.

RecBole ranks a matrix of users by items in which an item that was not shown scores minus infinity. Here the j-th
impression of a user is item j; item 0 is RecBole's padding, so every row of the matrix ends with an absent item,
from which RecBole reads the number of impressions. The matrices are made outside the clock.

Usage: python run.py WORKLOAD_FOLDER RESULT_FOLDER
"""

import json
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from recbole.config import Config
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector, Evaluator

SETTINGS = {"metrics": ["GAUC"], "valid_metric": "GAUC", "metric_decimal_place": 12, "use_gpu": False}


def batches(offsets: npt.NDArray[np.int64], rows: int) -> Iterator[tuple[int, int]]:
    """Yield the first user and the end of each batch: whole users, together at most ``rows`` rows if possible."""
    first, users = 0, len(offsets) - 1
    while first < users:
        fitting = int(np.searchsorted(offsets, offsets[first] + rows, side="right")) - 1
        end = max(first + 1, fitting)
        yield first, end
        first = end


def main(workload: Path, results: Path) -> None:
    """Time one computation and write ``result.json``."""
    user, label, score, offsets = (
        torch.from_numpy(np.load(workload / f"{name}.npy")) for name in ("user", "label", "score", "offsets")
    )
    item = torch.arange(len(user)) - offsets[user] + 1
    items = int(item.max()) + 1
    config = Config(model="BPR", dataset="workload", config_dict=SETTINGS)
    collector, evaluator = Collector(config), Evaluator(config)

    seconds = 0.0
    for first, end in batches(offsets.numpy(), config["eval_batch_size"]):
        rows = slice(int(offsets[first]), int(offsets[end]))
        user_of_row, item_of_row, clicked = user[rows] - first, item[rows], label[rows].bool()
        matrix = torch.full((end - first, items), -torch.inf)
        matrix[user_of_row, item_of_row] = score[rows]
        interaction = Interaction({config["USER_ID_FIELD"]: torch.arange(first, end)})
        positive_user, positive_item = user_of_row[clicked], item_of_row[clicked]

        start = time.perf_counter()
        collector.eval_batch_collect(matrix, interaction, positive_user, positive_item)
        seconds += time.perf_counter() - start

    start = time.perf_counter()
    gauc = evaluator.evaluate(collector.get_data_struct())["gauc"]
    seconds += time.perf_counter() - start

    result = {
        "seconds": seconds,
        "rows": len(score),
        "gauc": float(gauc),
        "weighting": "positives",
        "versions": {name: version(name) for name in ("recbole", "torch", "numpy")},
    }
    (results / "result.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
