"""A world of the users and items of the data set ``synthetic``."""

import numpy as np

from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.synthetic import FACTORS, FEWEST_SAMPLES, SHARED, Synthetic
from fedctr.errors import FedctrError
from fedctr.features import Rows
from fedctr.online.settings import SyntheticTable, WorldTable
from fedctr.online.world import Floats, Truth
from fedctr.randomness import normal, words


def synthetic_world(table: SyntheticTable, seed: int, days: range) -> tuple[Truth, Dataset]:
    """What clicks are drawn from, and the users and items without any sample.

    Args:
        table: how the world is.
        seed: another seed is another world.
        days: all days, on which items join.

    Raises:
        FedctrError: when the options are none that the data set has.
    """
    items = table.items + table.new_items * (len(days) - 1)
    try:
        loader = Synthetic(
            table.users,
            items,
            samples_per_user=FEWEST_SAMPLES,
            ctr=table.ctr,
            drift=table.drift,
            taste=table.taste,
            seed=seed,
        )
    except ValueError as error:
        raise FedctrError(f"world: {error}") from None
    catalogue, people = loader.catalogue(), loader.people()
    lasting = SHARED * catalogue.centres[people.group - 1]
    users = np.arange(table.users)
    truth = Truth(
        arrival=arrivals(table, seed, users),
        intercept=people.intercept,
        lasting=lasting,
        own=people.taste - lasting,
        other=np.sqrt(1 - SHARED**2) * normal(seed, "other taste", users, FACTORS),
        appeal=catalogue.base + catalogue.appeal,
        factors=table.taste * catalogue.taste / np.sqrt(FACTORS),
        exposure=np.diff(catalogue.shown, prepend=0.0),
        born=births(np.argsort(words(seed, "born", np.arange(items), 1)[:, 0]), table.new_items, days),
    )
    return truth, without_samples(loader.read(None, Reading("stop", None)))


def arrivals(table: WorldTable, seed: int, users: Rows) -> Floats:
    """Each user's probability to arrive on a day."""
    log_odds = np.log(table.arrival / (1 - table.arrival)) + table.activity * normal(seed, "activity", users, 1)[:, 0]
    chances: Floats = 1 / (1 + np.exp(-log_odds))
    return chances


def births(items: Rows, new_items: int, days: range) -> Rows:
    """The first day of every item.

    Args:
        items: all rows, in the order in which they join.
        new_items: how many join on every day but the first, on which all the others are there.
        days: all days.
    """
    born = np.full(len(items), days.start)
    late = new_items * (len(days) - 1)
    born[items[len(items) - late :]] = np.repeat(np.arange(days.start + 1, days.stop), new_items)
    return born


def without_samples(dataset: Dataset) -> Dataset:
    """The users and items of a data set."""
    return Dataset.arranged(
        dataset.name,
        dataset.schema,
        (dataset.user_ids, dataset.item_ids),
        (dataset.user_codes, dataset.item_codes),
        [np.empty(0, np.int64)] * 4,
    )
