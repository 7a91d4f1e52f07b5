"""Which correction wins on validation: every candidate on the validation parts of two windows; test is never read.

    python experiments/search/search.py RUN-FOLDER SPEC...          # computes what is missing
    python experiments/search/report.py RUN-FOLDER                  # tables from what is there

Each cell is a strategy, a seed and a window, and holds a row per user and trial twice: of the validation part, after
fine-tuning on the training part (``outer``), and of the last fifth of the training part, after fine-tuning on the rest
of it (``inner``), which is what a device can know by itself.
"""

import argparse
import hashlib
import multiprocessing
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fedctr.cloud import CloudTraining, publish
from fedctr.composition import strategy_of
from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, Window, split
from fedctr.features import Features
from fedctr.messages import Task
from fedctr.personalise import personalise
from fedctr.threads import single_thread

SHARE = 0.2


@dataclass(frozen=True)
class Cell:
    """One strategy, seed and window."""

    spec: str
    seed: int
    window: Window
    learning_rates: tuple[float, ...]
    epochs: tuple[int, ...]
    inner: bool

    def file(self, folder: Path) -> Path:
        """Where its rows are kept."""
        slug = re.sub("[^a-z0-9]+", "-", self.spec.lower()).strip("-")[:60]
        digest = hashlib.sha256(repr((self.spec, self.learning_rates, self.epochs)).encode()).hexdigest()[:6]
        return folder / f"{slug}-{digest}-{self.window}-seed{self.seed}-{'inner' if self.inner else 'outer'}.parquet"


def compute(cell: Cell, folder: Path, dataset_name: str, model: str) -> str:
    """Fine-tune and score every user; the rows go to the cell's file."""
    begun = time.monotonic()
    dataset, fractions = open_dataset(dataset_name), Fractions(window=cell.window)
    published, _ = publish(model, dataset, fractions, CloudTraining(), cell.seed, lambda epoch, loss: None)
    parts = split(dataset, fractions)
    parts = parts.inner(SHARE) if cell.inner else parts
    features = Features.build(dataset, parts, range(dataset.users), published.model.history_length)
    strategy = strategy_of(cell.spec)
    task = Task("", fractions, "validation", cell.spec, cell.seed, cell.learning_rates, cell.epochs, batch_size=32)
    with single_thread():
        rows = pd.DataFrame(personalise(published, strategy, features, task))
    labels = {"spec": cell.spec, "seed": cell.seed, "window": cell.window, "inner": cell.inner}
    rows = rows.assign(**labels).sort_values(["learning_rate", "epochs", "user"], ignore_index=True)
    fresh = cell.file(folder).with_suffix(".part")
    rows.to_parquet(fresh, index=False)
    fresh.replace(cell.file(folder))
    return f"{time.monotonic() - begun:6.1f} s  {cell.file(folder).name}"


def main() -> None:
    """Read the command line and compute what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("specs", nargs="+")
    parser.add_argument("--dataset", default="movielens-100k")
    parser.add_argument("--model", default="din")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--windows", nargs="+", default=["later", "earlier"])
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.3])
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 3, 6])
    parser.add_argument("--inner", action="store_true", help="also the dry runs on the training part alone")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    cells = [
        Cell(spec, seed, window, tuple(options.learning_rates), tuple(options.epochs), inner)
        for seed in options.seeds
        for spec in options.specs
        for window in options.windows
        for inner in ((False, True) if options.inner else (False,))
    ]
    cells = [cell for cell in cells if not cell.file(options.folder).is_file()]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        jobs = [pool.apply_async(compute, (cell, options.folder, options.dataset, options.model)) for cell in cells]
        for job in jobs:
            print(job.get(), flush=True)


if __name__ == "__main__":
    main()
