"""A day of one arm on a simulated client: who of its users arrives, what is shown to them, and what they click."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fedctr.data.dataset import Dataset
from fedctr.features import Rows
from fedctr.judgement import Columns
from fedctr.online.log import for_devices
from fedctr.online.night import scores
from fedctr.online.world import Candidates, World
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy
from fedctr.threads import without_subnormals


@dataclass(frozen=True, eq=False)
class Day:
    """What happened to some users on a day.

    Attributes:
        visits: a row for each of them who arrived: ``user``, ``impressions``, ``clicks``, ``expected_clicks`` (by the
            true probabilities of what was shown), ``oracle_clicks`` (had the best candidates been shown first),
            ``local_samples`` on the device, ``tuned`` and ``diverged``.
        shown: a row for each impression: ``user``, ``item``, ``place`` (from 1) and ``click``.
    """

    visits: Columns
    shown: Columns


@without_subnormals()
def live(
    day: int,
    users: Rows,
    world: World,
    log: Dataset,
    published: Published | None,
    strategy: ClientStrategy,
    recipe: Recipe,
    *,
    cohort_size: int | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Day:
    """Have users of one arm live a day.

    Args:
        day: which one.
        users: int64 (users,), rows of the data set, ascending.
        world: tells who arrives, and what they click.
        log: what was shown to everybody on all days before.
        published: the newest published model; None to show what retrieval finds, in its own order.
        strategy: what the devices have done in the night before.
        recipe: how they fine-tune.
        cohort_size: users to fine-tune at once, None for as many as the cache holds; changes nothing but speed.
        go_on: called between cohorts; what it raises ends the work.

    Raises:
        UserError: when a hook of the strategy raises, or returns NaN or a wrong shape.
    """
    users = world.arriving(day, users)
    offered = world.candidates(day, users)
    logits = np.zeros(offered.items.shape, np.float32)
    tuned, diverged = (np.zeros(len(users), dtype=bool) for _ in range(2))
    if published and len(users):
        around = range(int(users[0]), int(users[-1]) + 1)
        features = for_devices(log, day, users, offered.items, around, published.model.history_length)
        arrived = np.zeros(log.users, dtype=bool)
        arrived[users] = True
        for some in scores(published, strategy, features, recipe, arrived, cohort_size=cohort_size, go_on=go_on):
            places = np.searchsorted(users, some.users)
            logits[places], tuned[places], diverged[places] = some.logits, some.tuned, some.diverged
    local_samples = np.diff(log.offsets)[users]
    return _answered(
        day, users, world, offered, logits, {"local_samples": local_samples, "tuned": tuned, "diverged": diverged}
    )


def _answered(day: int, users: Rows, world: World, offered: Candidates, logits: np.ndarray, columns: Columns) -> Day:
    """Show the candidates of the highest logits, those that retrieval found first where they are equal."""
    count = world.table.shown
    ranking = np.lexsort((offered.found, -logits))[:, :count]
    items, log_odds = offered.at(ranking)
    clicks = world.clicks(day, users, items, log_odds)
    visits: Columns = {
        "user": users,
        "impressions": np.full(len(users), count),
        "clicks": clicks.sum(1),
        "expected_clicks": world.expected(log_odds).sum(1),
        "oracle_clicks": world.oracle(offered),
        **columns,
    }
    shown: Columns = {
        "user": np.repeat(users, count).astype(np.int32),
        "item": items.reshape(-1).astype(np.int32),
        "place": np.tile(np.arange(1, count + 1, dtype=np.int16), len(users)),
        "click": clicks.reshape(-1),
    }
    return Day(visits, shown)
