"""fedctr itself: its engine on one core, or all the way through Flower on Ray with two clients on two cores.

python run.py WORKLOAD_FOLDER RESULT_FOLDER [--flower]

The workload serves to check that settings and published model are the same; the samples come from fedctr's own cache.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fedctr import Experiment, bench
from fedctr.data.split import Fractions
from fedctr.features import Features
from fedctr.messages import Columns, Task
from fedctr.personalise import personalise
from fedctr.progress import Silent
from fedctr.strategy import strategies
from fedctr.threads import single_thread

sys.path.append(str(Path(__file__).resolve().parents[1]))
import workload
from work import WARM_UP_USERS, Clock, write_result

STRATEGY = "fine-tuning"
CLIENTS = 2
SEEDS = 3  # through Flower; a single task would mostly measure how often Flower polls


def engine(result: Path) -> None:
    """The engine, in this process; putting the samples into its own form is on the clock."""
    dataset, parts = workload.dataset_and_split()
    published = workload.published_model(dataset)
    task = Task(
        dataset=str(dataset.folder),
        fractions=Fractions(),
        part="test",
        strategy=STRATEGY,
        seed=workload.SEED,
        learning_rates=(workload.LEARNING_RATE,),
        epochs=(workload.EPOCHS,),
        batch_size=workload.BATCH_SIZE,
    )

    def run(users: int) -> Columns:
        features = Features.build(dataset, parts, range(users), published.model.history_length)
        return personalise(published, strategies.create(STRATEGY), features, task)

    with single_thread():
        run(WARM_UP_USERS)
        clock = Clock()
        rows = run(dataset.users)
        seconds, cpu_seconds = clock.read()
    aucs = np.empty(dataset.users)
    aucs[rows["user"].astype(np.int64)] = rows["auc"]
    write_result(result, aucs, seconds, 1, ("torch", "numpy"), cpu_seconds=cpu_seconds)


class Stopwatch(Silent):
    """Times the test phase: from just before its first message is sent until its last reply is read."""

    begun = ended = 0.0

    def phase(self, name: str, total: int | None = None) -> None:
        """Start the clock; it starts anew with every phase, and the last one is the test part."""
        self.begun = time.perf_counter()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """A reply has come."""
        self.ended = time.perf_counter()


def through_flower(result: Path) -> None:
    """A whole run; its validation phase is the same work on another part, and warms both workers up."""
    os.environ["RAY_ADDRESS"] = "local"  # a cluster of its own, though another may be running here
    started = time.perf_counter()
    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as scratch:
        found = bench(
            Experiment(
                dataset=workload.DATASET,
                model=workload.MODEL,
                strategies=(STRATEGY,),
                seeds=SEEDS,
                partitions=CLIENTS,
                backend="ray",
                out=Path(scratch) / "run",
                learning_rates=(workload.LEARNING_RATE,),
                epochs=(workload.EPOCHS,),
                batch_size=workload.BATCH_SIZE,
            ),
            stopwatch,
        )
    rows = found.users.query(f"split == 'test' and seed == {workload.SEED}").set_index("user")
    dataset, _ = workload.dataset_and_split()
    write_result(
        result,
        rows["auc"].loc[dataset.user_ids.to_pylist()],
        (stopwatch.ended - stopwatch.begun) / SEEDS,
        CLIENTS,
        ("torch", "numpy", "flwr", "ray"),
        startup_seconds=stopwatch.begun - started,
    )


def main() -> None:
    """Refuse another workload, then run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--flower", action="store_true", help="through Flower on Ray")
    arguments = parser.parse_args()
    if not workload.is_current(arguments.workload):
        parser.error(f"{arguments.workload}: not the workload that workload.py writes now")
    (through_flower if arguments.flower else engine)(arguments.result)


if __name__ == "__main__":
    main()
