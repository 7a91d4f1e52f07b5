"""fedctr itself: its engine on one core, or all the way through Flower on Ray with two clients on two cores.

python run.py WORKLOAD_FOLDER RESULT_FOLDER [--flower]

The workload serves to check that settings and published model are the same; the samples come from fedctr's own cache.
"""

import argparse
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
from fedctr.strategy import strategies
from fedctr.threads import single_thread

sys.path.append(str(Path(__file__).resolve().parents[1]))
import workload
from work import WARM_UP_USERS, Clock, write_result

STRATEGY = "fine-tuning"
CLIENTS = 2
# Through Flower there is a task for each seed, two of them on their way at any time. The clock runs from the end of one
# task to the end of another. Those before it warm both workers up, and one after it keeps both busy until then.
WARM_UP_TASKS, TASKS, TASKS_AFTER = 2, 6, 1


def engine(model: str, result: Path) -> None:
    """The engine, in this process; putting the samples into its own form is on the clock."""
    dataset, parts = workload.dataset_and_split()
    published = workload.published_model(model, dataset)
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


def through_flower(model: str, result: Path) -> None:
    """A whole run, of which some tasks in its midst are timed, as the run folder tells when each was done."""
    started = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        found = bench(
            Experiment(
                dataset=workload.DATASET,
                model=model,
                strategies=(STRATEGY,),
                seeds=WARM_UP_TASKS + TASKS + TASKS_AFTER,
                partitions=CLIENTS,
                backend="ray",
                out=Path(scratch) / "run",
                learning_rates=(workload.LEARNING_RATE,),
                epochs=(workload.EPOCHS,),
                batch_size=workload.BATCH_SIZE,
            )
        )
        # The server writes a task's cell as soon as the task's last reply has been read.
        ends = sorted(cell.stat().st_mtime for cell in (found.folder / "cells").glob("test-*.parquet"))
    begun, ended = ends[WARM_UP_TASKS - 1], ends[WARM_UP_TASKS + TASKS - 1]
    rows = found.users.query(f"split == 'test' and seed == {workload.SEED}").set_index("user")
    dataset, _ = workload.dataset_and_split()
    write_result(
        result,
        rows["auc"].loc[dataset.user_ids.to_pylist()],
        (ended - begun) / TASKS,
        CLIENTS,
        ("torch", "numpy", "flwr", "ray"),
        startup_seconds=begun - started,
    )


def main() -> None:
    """Refuse another workload, then run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--flower", action="store_true", help="through Flower on Ray")
    arguments = parser.parse_args()
    model = workload.model_in(arguments.workload)
    if model is None:
        parser.error(f"{arguments.workload}: not the workload that workload.py writes now")
    (through_flower if arguments.flower else engine)(model, arguments.result)


if __name__ == "__main__":
    main()
