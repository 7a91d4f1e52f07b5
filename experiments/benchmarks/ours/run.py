"""fedctr itself: its engine on one core, or all the way through Flower on Ray with two clients on two cores.

python run.py WORKLOAD_FOLDER RESULT_FOLDER [--flower]

The workload serves to check that settings and published model are the same; the samples come from fedctr's own cache.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from fedctr import Experiment, bench
from fedctr.threads import single_thread

sys.path.append(str(Path(__file__).resolve().parents[1]))
import workload
from our_engine import timed, users_of
from replies import WARM_UP, Replies
from work import WARM_UP_USERS, write_result

STRATEGY = "fine-tuning"  # what the workload asks for
CLIENTS = 2
SEEDS = 17  # through Flower: a task for each, and two clients to do it


def engine(model: str, result: Path) -> None:
    """The engine, in this process; putting the samples into its own form is on the clock."""
    run = users_of(model, STRATEGY)
    with single_thread():
        run(WARM_UP_USERS)
        aucs, seconds, cpu_seconds = timed(run)
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
    parser.add_argument("--flower", action="store_true", help="through Flower on Ray")
    arguments = parser.parse_args()
    model = workload.model_in(arguments.workload)
    if model is None:
        parser.error(f"{arguments.workload}: not the workload that workload.py writes now")
    if arguments.flower:
        through_flower(model, arguments.result)
    else:
        engine(model, arguments.result)


if __name__ == "__main__":
    main()
