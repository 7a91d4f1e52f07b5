"""Which correction wins on validation: every candidate on the validation parts of two windows; test is never read.

    python experiments/search/search.py RUN-FOLDER SPEC...          # computes what is missing
    python experiments/search/report.py RUN-FOLDER                  # tables from what is there

A window is where samples are taken from, and which of their parts is scored:

- ``later:validation`` and ``earlier:validation`` are the validation parts of the two windows of ``split.window``;
- ``rehearsal:test`` is the whole protocol played on the training part of the later window alone: 70 % of that for
  training, then 10 % for validation, then 20 % to score. These samples are as far from those that are fine-tuned on as
  test samples are, and no later than any of validation's. ``rehearsal:validation`` are those in between;
- ``rehearsal:refit`` scores the same samples as ``rehearsal:test`` after fine-tuning on training and validation part,
  with histories up to there, so that nothing lies between the local samples and those to score;
- ``rehearsal-earlier:...`` are the same of the earlier window.

Each cell is a strategy, a seed and a window, and holds a row per user and trial. With ``--inner`` a second one scores
the last fifth of the training part after fine-tuning on the rest of it, which is what a device can know by itself.
"""

import argparse
import hashlib
import multiprocessing
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from fedctr.cloud import CloudTraining, publish
from fedctr.composition import strategy_of
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.split import Fractions, Split, split
from fedctr.features import Features
from fedctr.personalise import personalise
from fedctr.task import Task
from fedctr.threads import single_thread

SHARE = 0.2


@dataclass(frozen=True)
class Cell:
    """One strategy, seed and window."""

    spec: str
    seed: int
    window: str
    learning_rates: tuple[float, ...]
    epochs: tuple[int, ...]
    inner: bool

    def file(self, folder: Path) -> Path:
        """Where its rows are kept."""
        words = f"{self.spec} {self.window} {'inner' if self.inner else ''} seed{self.seed}"
        slug = re.sub("[^a-z0-9]+", "-", words.lower()).strip("-")
        digest = hashlib.sha256(repr(self).encode()).hexdigest()[:6]
        return folder / f"{slug}-{digest}.parquet"


def placed(dataset: Dataset, window: str) -> tuple[Dataset, Fractions]:
    """The samples of a window, and how they are split."""
    if window in ("later", "earlier"):
        return dataset, Fractions(window=window)
    parts = split(dataset, Fractions(window="earlier" if window == "rehearsal-earlier" else "later"))
    counts = parts.train_end - parts.start
    offsets = np.concatenate([[0], np.cumsum(counts)])
    rows = np.arange(offsets[-1]) + np.repeat(parts.start - offsets[:-1], counts)
    samples = {name: getattr(dataset, name)[rows] for name in ("item", "label", "time")}
    return replace(dataset, offsets=offsets, folder=None, **samples), Fractions()


def compute(cell: Cell, folder: Path, dataset_name: str, model: str) -> str:
    """Fine-tune and score every user; the rows go to the cell's file."""
    begun = time.monotonic()
    window, part = cell.window.split(":")
    dataset, fractions = placed(open_dataset(dataset_name), window)
    published, _ = publish(model, dataset, fractions, CloudTraining(), cell.seed, lambda epoch, loss: None)
    if window in ("later", "earlier") and part != "validation":
        raise ValueError(f"{cell.window}: the search must not read test")
    parts = split(dataset, fractions)
    if part == "refit":
        parts, part = Split(parts.start, parts.validation_end, parts.validation_end, parts.stop), "test"
    parts = parts.inner(SHARE) if cell.inner else parts
    features = Features(dataset, parts, range(dataset.users), published.model.history_length)
    strategy = strategy_of(cell.spec)
    task = Task("validation" if cell.inner else part, cell.seed, cell.learning_rates, cell.epochs, batch_size=32)
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
    parser.add_argument("--windows", nargs="+", default=["later:validation", "earlier:validation", "rehearsal:test"])
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
