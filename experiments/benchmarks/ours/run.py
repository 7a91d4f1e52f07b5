"""fedctr itself: its engine on one core, or all the way through Flower on Ray with two clients on two cores.

python run.py WORKLOAD_FOLDER RESULT_FOLDER [--flower | --strategy NAME]

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
from replies import WARM_UP, Replies
from work import WARM_UP_USERS, Clock, write_result

STRATEGY = "fine-tuning"  # what the workload asks for
CLIENTS = 2
SEEDS = 17  # through Flower: a task for each, and two clients to do it


def engine(model: str, result: Path, name: str) -> None:
    """The engine, in this process; putting the samples into its own form is on the clock."""
    dataset, parts = workload.dataset_and_split()
    published = workload.published_model(model, dataset)
    task = Task(
        dataset=str(dataset.folder),
        rule=Fractions(),
        part="test",
        strategy=name,
        seed=workload.SEED,
        learning_rates=(workload.LEARNING_RATE,),
        epochs=(workload.EPOCHS,),
        batch_size=workload.BATCH_SIZE,
    )

    strategy = strategies.create(name)

    def run(users: int) -> Columns:
        features = Features(dataset, parts, range(users), published.model.history_length)
        return personalise(published, strategy, features, task)

    with single_thread():
        run(WARM_UP_USERS)
        clock = Clock()
        rows = run(dataset.users)
        seconds, cpu_seconds = clock.read()
    aucs = np.empty(dataset.users)
    aucs[rows["user"].astype(np.int64)] = rows["auc"]
    write_result(result, aucs, seconds, 1, ("torch", "numpy"), cpu_seconds=cpu_seconds)


def through_flower(model: str, result: Path) -> None:
    """A whole run, of which most replies are timed."""
    started = time.perf_counter()
    replies = Replies()
    with tempfile.TemporaryDirectory() as scratch:
        found = bench(
            Experiment(
                dataset=workload.DATASET,
                model=model,
                strategies=(STRATEGY,),
                seeds=SEEDS,
                partitions=CLIENTS,
                backend="ray",
                out=Path(scratch) / "run",
                learning_rates=(workload.LEARNING_RATE,),
                epochs=(workload.EPOCHS,),
                batch_size=workload.BATCH_SIZE,
            ),
            replies,
        )
    rows = found.users.query(f"split == 'test' and seed == {workload.SEED}").set_index("user")
    dataset, _ = workload.dataset_and_split()
    write_result(
        result,
        rows["auc"].loc[dataset.user_ids.to_pylist()],
        replies.seconds_each() * CLIENTS,
        CLIENTS,
        ("torch", "numpy", "flwr", "ray"),
        startup_seconds=replies.times[WARM_UP - 1] - started,
    )


def main() -> None:
    """Refuse another workload, then run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", type=Path)
    parser.add_argument("result", type=Path)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--flower", action="store_true", help="through Flower on Ray")
    how.add_argument("--strategy", default=STRATEGY, help="another one, to other AUCs")
    arguments = parser.parse_args()
    model = workload.model_in(arguments.workload)
    if model is None:
        parser.error(f"{arguments.workload}: not the workload that workload.py writes now")
    if arguments.flower:
        through_flower(model, arguments.result)
    else:
        engine(model, arguments.result, arguments.strategy)


if __name__ == "__main__":
    main()
