"""What every benchmark of fedctr's own engine runs: a strategy with the settings of the workload."""

from collections.abc import Callable

import numpy as np
import workload
from competitors import Aucs
from work import Clock

from fedctr.features import Features
from fedctr.personalise import personalise
from fedctr.strategy import strategies
from fedctr.task import Task

LEAST_SECONDS = 1  # once takes a tenth of it, and would say more of the moment than of the program


def users_of(model: str, name: str) -> Callable[[int | None], Aucs]:
    """What fine-tunes and measures the first so many users, or all, with a strategy: it gives each user's AUC.

    Putting the samples into the engine's own form is done when it is called.
    """
    dataset, parts = workload.dataset_and_split()
    published, strategy = workload.published_model(model, dataset), strategies.create(name)
    task = Task(
        part="test",
        seed=workload.SEED,
        learning_rates=(workload.LEARNING_RATE,),
        epochs=(workload.EPOCHS,),
        batch_size=workload.BATCH_SIZE,
    )

    def run(users: int | None) -> Aucs:
        everybody = range(dataset.users)
        features = Features(dataset, parts, everybody[:users], published.model.history_length)
        rows = personalise(published, strategy, features, task)
        aucs = np.empty(len(features.users))
        aucs[rows["user"].astype(np.int64)] = rows["auc"]
        return aucs

    return run


def timed(run: Callable[[int | None], Aucs]) -> tuple[Aucs, float, float]:
    """All users time and again: each one's AUC, and the means of wall and CPU seconds."""
    clock, times = Clock(), 0
    while not times or clock.read()[0] < LEAST_SECONDS:
        aucs, times = run(None), times + 1
    seconds, cpu_seconds = clock.read()
    return aucs, seconds / times, cpu_seconds / times
