"""A semi-synthetic world: users and items of a log, who click as a model that was fitted to it says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.loader import own_split
from fedctr.data.split import split
from fedctr.errors import FedctrError
from fedctr.features import Rows
from fedctr.online.click_model import ClickModel
from fedctr.online.settings import ReplayTable
from fedctr.online.synthetic import births, without_samples
from fedctr.online.world import Floats, Truth
from fedctr.progress import Reporter
from fedctr.randomness import words

# Models that are matrix factorisations, or have one within: in a world made by such a model they would be favoured.
FACTORISING = ("fm", "deepfm")


def replay_world(
    table: ReplayTable, path: Path | None, seed: int, days: range, reporter: Reporter
) -> tuple[Truth, Dataset, dict[str, float]]:
    """What clicks are drawn from, the users and items without any sample, and how well the click model fits.

    A user comes the more often the more samples it has in the log, and retrieval finds an item the more often the more
    samples it has there; items join in the order of their first samples. What makes a user's taste different from the
    average one turns towards what makes another user's different.

    Args:
        table: how the world is.
        path: the official files of the data set; None for those that were fetched.
        seed: of the click model, and of everything that is drawn.
        days: all days, on which items join.
        reporter: hears of progress while the data set is read.

    Raises:
        FedctrError: for an unknown data set or bad files, or one with too few items.
    """
    log = open_dataset(table.dataset, path, reporter=reporter)
    late = table.new_items * (len(days) - 1)
    if log.items - late < table.candidates:
        raise FedctrError(
            f"world: {log.name} has {log.items:,} items, of which {late:,} join later; lower new_items, or candidates "
            f"{table.candidates}"
        )
    fitted = ClickModel.fitted(log, split(log, own_split(table.dataset)), table.factors, seed)
    own = fitted.taste - fitted.taste.mean(0)
    order = np.argsort(words(seed, "other user", np.arange(log.users), 1)[:, 0])
    other = np.empty(log.users, np.int64)
    other[order] = np.roll(order, 1)  # never the user itself, if there are two
    whose = np.tile(np.arange(log.users), table.copies)
    truth = Truth(
        arrival=_arrivals(table, log)[whose],
        intercept=fitted.intercept[whose],
        lasting=np.tile(fitted.taste.mean(0), (len(whose), 1)),
        own=own[whose],
        other=own[other][whose],
        appeal=fitted.appeal,
        factors=fitted.factors,
        exposure=(np.bincount(log.item, minlength=log.items) + 1).astype(np.float64),
        born=births(_by_first_sample(log), table.new_items, days),
    )
    return truth, _copied(without_samples(log), table.copies), fitted.fit


def _arrivals(table: ReplayTable, log: Dataset) -> Floats:
    """Each user's probability to arrive on a day."""
    samples = np.log1p(np.diff(log.offsets))
    activity = (samples - np.median(samples)) / max(samples.std(), 1e-9)
    log_odds = np.log(table.arrival / (1 - table.arrival)) + table.activity * activity
    chances: Floats = 1 / (1 + np.exp(-log_odds))
    return chances


def _by_first_sample(log: Dataset) -> Rows:
    """The items in the order of their first samples; those without any come last."""
    first = np.full(log.items, np.iinfo(np.int64).max)
    np.minimum.at(first, log.item, log.time)
    return np.argsort(first, kind="stable")


def _copied(population: Dataset, copies: int) -> Dataset:
    """As many users for each one, with the same features; the first of them has its id."""
    if copies == 1:
        return population
    users = population.users * copies
    ids = [population.user_ids] + [
        pc.binary_join_element_wise(population.user_ids, str(copy), " copy ") for copy in range(2, copies + 1)
    ]
    codes = np.tile(population.user_codes, (copies, 1))
    codes[:, 0] = np.arange(1, users + 1)
    identity, *fields = population.schema.user_fields
    return replace(
        population,
        schema=replace(population.schema, user_fields=(replace(identity, cardinality=users + 1), *fields)),
        user_ids=pa.concat_arrays(
            [each.combine_chunks() if isinstance(each, pa.ChunkedArray) else each for each in ids]
        ),
        user_codes=codes,
        offsets=np.zeros(users + 1, np.int64),
    )
