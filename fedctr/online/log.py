"""What was shown and clicked, as the samples of devices and of the cloud."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from fedctr.data.dataset import Dataset
from fedctr.data.split import DAY, Split
from fedctr.features import Features, Rows


def logged(population: Dataset, shown: Sequence[pd.DataFrame]) -> Dataset:
    """Everything that was shown, as a data set.

    Args:
        population: the users and items.
        shown: for each day its ``day``, ``user``, ``item`` and ``click``.
    """
    if not shown:
        return population
    rows = pd.concat(shown, ignore_index=True)
    user, item, click, day = (rows[name].to_numpy(np.int64) for name in ("user", "item", "click", "day"))
    return Dataset.arranged(
        population.name,
        population.schema,
        (population.user_ids, population.item_ids),
        (population.user_codes, population.item_codes),
        (user, item, click, day * DAY),
    )


def for_cloud(log: Dataset) -> Split:
    """How the cloud splits the log: all is for training but the last day, by which it knows when to stop."""
    begin, end = log.offsets[:-1], log.offsets[1:]
    last = np.flatnonzero(log.time == log.time.max())
    train_end = end - np.diff(np.searchsorted(last, log.offsets))
    return Split(begin, train_end, end, end)


def for_devices(log: Dataset, day: int, users: Rows, items: Rows, among: range, history_length: int) -> Features:
    """What some users' devices hold on a day: their own log for training, and the candidates as test part.

    Args:
        log: of all days before.
        day: which one.
        users: int64 (users,), those who arrive, ascending; the others hold nothing here.
        items: int64 (users, candidates), ascending.
        among: a range of users that holds them all.
        history_length: earlier clicks that the model reads.
    """
    held = np.zeros(log.users, np.int64)
    held[users] = np.diff(log.offsets)[users]
    found = np.zeros(log.users, np.int64)
    found[users] = items.shape[1]
    offsets = np.concatenate([[0], np.cumsum(held + found)])
    begin = offsets[:-1]
    samples = int(offsets[-1])
    item, label = np.empty(samples, np.int32), np.zeros(samples, np.uint8)
    time = np.full(samples, day * DAY)
    # One after the other, the rows of the log that are held, and where they go.
    within = np.arange(int(held.sum())) - np.repeat(np.cumsum(held) - held, held)
    source, target = (np.repeat(first, held) + within for first in (log.offsets[:-1], begin))
    item[target], label[target], time[target] = log.item[source], log.label[source], log.time[source]
    item[(begin + held)[users, None] + np.arange(items.shape[1])] = items
    dataset = replace(log, offsets=offsets, item=item, label=label, time=time)
    parts = Split(begin, begin + held, begin + held, offsets[1:])
    return Features(dataset, parts, among, history_length)
