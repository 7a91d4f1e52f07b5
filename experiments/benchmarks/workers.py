"""How much more two Ray workers do than one, beside how much more two processes do that have nothing to do with Ray.

python experiments/benchmarks/workers.py

Writes results/workers.md. All times are by the clock, so it wants a quiet machine of two cores or more. The data set is
generated and the global model trained beforehand, off the clock.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

from bench import RESULTS, say
from ray.cluster_utils import Cluster
from replies import Replies
from report import machine

from fedctr import Experiment, bench, open_dataset
from fedctr.cloud import CloudTraining, publish
from fedctr.data.partition import partition
from fedctr.data.split import split
from fedctr.features import Features
from fedctr.personalise import personalise
from fedctr.strategy import strategies
from fedctr.task import Task
from fedctr.threads import single_thread

ROUNDS = 3
TASKS = 32  # of as many users each
EXPERIMENT = Experiment(
    dataset="synthetic[users=100000,items=2000,samples_per_user=30]",
    model="wide-deep",
    strategies=("fine-tuning",),
    seeds=1,
    partitions=TASKS,
    backend="ray",
    learning_rates=(0.03,),
    epochs=(3,),
    cloud=CloudTraining(batch_size=8192, learning_rate=0.003, epochs=1),
)


def on_ray(workers: int) -> float:
    """Users a second of so many Ray workers, once they are warm."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": workers, "include_dashboard": False})
    try:
        replies = Replies()
        with tempfile.TemporaryDirectory() as scratch:
            bench(EXPERIMENT.model_copy(update={"ray_address": cluster.address, "out": Path(scratch) / "run"}), replies)
        return open_dataset(EXPERIMENT.dataset).users / TASKS / replies.seconds_each()
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def alone(processes: int) -> float:
    """Users a second of so many processes that have nothing to do with one another, each with half of the tasks."""
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(processes)
    with ProcessPoolExecutor(processes, spawn, initializer=_meet_at, initargs=(ready,)) as pool:
        found = list(pool.map(_half_of_the_tasks, range(processes)))
    return sum(users for users, _ in found) / max(seconds for _, seconds in found)


_ready: list[Barrier] = []  # where the processes wait for each other


def _meet_at(ready: Barrier) -> None:
    _ready.append(ready)


def _half_of_the_tasks(number: int) -> tuple[int, float]:
    """How many users one process has computed, and in how many seconds, once all are warm."""
    dataset = open_dataset(EXPERIMENT.dataset)
    published, _ = publish(EXPERIMENT.model, dataset, EXPERIMENT.rule, EXPERIMENT.cloud, 0, lambda epoch, loss: None)
    parts, strategy = split(dataset, EXPERIMENT.rule), strategies.create(*EXPERIMENT.strategies)
    task = Task(
        part="test",
        seed=0,
        learning_rates=EXPERIMENT.learning_rates,
        epochs=EXPERIMENT.epochs,
        batch_size=EXPERIMENT.batch_size,
    )

    def compute(index: int) -> int:
        users = partition(dataset.users, index, TASKS)
        personalise(published, strategy, Features(dataset, parts, users, published.model.history_length), task)
        return len(users)

    with single_thread():
        compute(number)
        _ready[0].wait()
        begun = time.perf_counter()
        users = sum(compute(index) for index in range(number, TASKS, 2))
        return users, time.perf_counter() - begun


def main() -> None:
    """Measure, and write the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    dataset = open_dataset(EXPERIMENT.dataset)
    publish(EXPERIMENT.model, dataset, EXPERIMENT.rule, EXPERIMENT.cloud, 0, lambda epoch, loss: None)
    lines = []
    for what, measure in (("Ray workers", on_ray), ("processes without Ray", alone)):
        rounds = [(measure(1), measure(2)) for _ in range(ROUNDS)]
        one, two = (median(rates) for rates in zip(*rounds, strict=True))
        ratio = median(both / single for single, both in rounds)
        lines.append(f"| {what} | {one:,.0f} | {two:,.0f} | {ratio:.2f} |\n")
        say(lines[-1].strip())
    text = (
        "# Two workers\n\n"
        f"`{EXPERIMENT.model}` on `{EXPERIMENT.dataset}`, {EXPERIMENT.epochs[0]} epochs, {date.today():%-d %B %Y}; "
        f"medians of {ROUNDS} rounds, by the clock. {machine()}.\n\n"
        "Two processes without Ray, which share nothing but the machine, say about how much of it two can have; "
        "ratios that differ by a few hundredths are equal as far as so few rounds tell.\n\n"
        "| | users/s of one | of two | two over one |\n|---|---|---|---|\n" + "".join(lines)
    )
    (RESULTS / "workers.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
