from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fedctr import loop
from fedctr.data.dataset import Dataset
from fedctr.data.partition import partition
from fedctr.features import Rows
from fedctr.models.model import models
from fedctr.online.day import Day, live
from fedctr.online.log import for_devices, logged
from fedctr.online.synthetic import synthetic_world, without_samples
from fedctr.online.world import World
from fedctr.personalise import UserError
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy
from strategies.fine_tuning import FineTuning
from strategies.gate import Gate
from strategies.no_fine_tuning import NoFineTuning
from tests.engine import Everything, publish, world
from tests.online.worlds import TABLE, certain

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe(seed=0, learning_rate=0.1, epochs=2)
POPULATION = without_samples(world([1, 1], items=3))
LIKES = [[True, False, True], [False, True, False]]


def by_weight(*weights: float) -> Published:
    """Logistic regression that knows nothing but a weight of each item."""
    model = models.create("lr", POPULATION.schema)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        dict(model.named_parameters())["item.tables.item.weight"][1:, 0] = torch.tensor(weights)
    return Published("lr", POPULATION.schema, model, 0.5)


class TestByHand:
    """Two users and three items; the first user likes items 0 and 2, the second item 1."""

    def test_the_model_ranks_and_the_world_answers(self) -> None:
        ranked = by_weight(0.1, 0.3, 0.2)  # items 1, 2, 0
        day = live(0, np.arange(2), certain(LIKES, shown=2), POPULATION, ranked, NoFineTuning(), RECIPE)
        assert pd.DataFrame(day.shown).to_numpy().tolist() == [[0, 1, 1, 0], [0, 2, 2, 1], [1, 1, 1, 1], [1, 2, 2, 0]]
        visits = pd.DataFrame(day.visits)
        assert visits["user"].tolist() == [0, 1]
        assert visits["impressions"].tolist() == [2, 2]
        assert visits["clicks"].tolist() == [1, 1]
        assert visits["expected_clicks"].tolist() == pytest.approx([1, 1])
        assert visits["oracle_clicks"].tolist() == pytest.approx([2, 1])
        assert not visits[["local_samples", "tuned", "diverged"]].to_numpy().any()

    def test_without_a_model_the_order_is_that_of_retrieval(self) -> None:
        world = certain(LIKES)
        day = live(0, np.arange(2), world, POPULATION, None, NoFineTuning(), RECIPE)
        offered = world.candidates(0, np.arange(2))
        found = np.take_along_axis(offered.items, np.argsort(offered.found), 1)
        assert day.shown["item"].tolist() == found.flatten().tolist()

    def test_a_device_learns_from_what_was_shown_to_it(self) -> None:
        # Both have seen items 0 and 1, and clicked one of them; the model knows nothing.
        seen = pd.DataFrame({"user": [0, 0, 1, 1], "item": [0, 1, 0, 1], "click": [1, 0, 0, 1], "day": -1})
        log = logged(POPULATION, [seen])
        day = live(0, np.arange(2), certain(LIKES, shown=1), log, by_weight(0, 0, 0), FineTuning(), RECIPE)
        assert day.shown["item"].tolist() == [0, 1]
        assert day.shown["click"].tolist() == [True, True]
        assert day.visits["local_samples"].tolist() == [2, 2]
        assert day.visits["tuned"].all()

    def test_a_device_whose_model_diverged_shows_what_retrieval_found_first_and_is_counted(self) -> None:
        seen = pd.DataFrame({"user": [0, 0], "item": [0, 1], "click": [1, 0], "day": -1})
        log, wild = logged(POPULATION, [seen]), replace(RECIPE, learning_rate=1e30)
        world = certain(LIKES)
        day = live(0, np.arange(2), world, log, publish("fm", POPULATION.schema), FineTuning(), wild)
        assert day.visits["diverged"].tolist() == [True, False]
        offered = world.candidates(0, np.arange(2))
        assert day.shown["item"][:3].tolist() == offered.items[0][np.argsort(offered.found[0])].tolist()

    def test_nobody_arrives(self) -> None:
        day = live(0, np.arange(0), certain(LIKES), POPULATION, by_weight(0, 0, 0), FineTuning(), RECIPE)
        assert not len(day.visits["user"])
        assert not len(day.shown["user"])


@pytest.fixture(scope="module")
def lived() -> tuple[World, Dataset]:
    """A small world after four days without a model."""
    truth, population = synthetic_world(TABLE, 0, range(-4, 1))
    world, days = World(truth, TABLE, 0), []
    everybody = np.arange(TABLE.users)
    for day in range(-4, 0):
        shown = live(day, everybody, world, population, None, NoFineTuning(), RECIPE).shown
        days.append(pd.DataFrame(shown).assign(day=day))
    return world, logged(population, days)


def whole(world: World, log: Dataset, strategy: ClientStrategy, clients: int, cohort_size: int | None) -> bytes:
    """Day 0 of all users, by so many clients."""
    published = publish("din[history=5]", log.schema)

    def part(client: int) -> Day:
        users = partition(log.users, client, clients)
        among: Rows = np.arange(users.start, users.stop)
        return live(0, among, world, log, published, strategy, RECIPE, cohort_size=cohort_size)

    days = [part(client) for client in range(clients)]
    return b"".join(
        np.concatenate([columns[name] for columns in columns_of_all]).tobytes()
        for columns_of_all in ([day.visits for day in days], [day.shown for day in days])
        for name in columns_of_all[0]
    )


@pytest.mark.parametrize("strategy", [Everything(), Gate(0.4, "log-loss")], ids=lambda strategy: strategy.name)
def test_partitions_and_cohorts_change_no_bit(lived: tuple[World, Dataset], strategy: ClientStrategy) -> None:
    expected = whole(*lived, strategy, 1, None)
    assert whole(*lived, strategy, 2, None) == expected
    assert whole(*lived, strategy, 8, 3) == expected


def test_the_ranking_is_that_of_one_user_after_the_other(lived: tuple[World, Dataset]) -> None:
    world, log = lived
    published = publish("din[history=5]", log.schema)
    day = live(0, np.arange(log.users), world, log, published, FineTuning(), RECIPE)
    users = day.visits["user"].astype(np.int64)
    offered = world.candidates(0, users)
    features = for_devices(log, 0, users, offered.items, range(log.users), 5)
    shown = day.shown["item"].reshape(len(users), -1)
    for row, user in enumerate(users.tolist()):
        *_, model = loop.fine_tune(published, FineTuning(), features, user, RECIPE)
        logits = loop.score(model, features, user, "test")
        assert shown[row].tolist() == offered.items[row][np.argsort(-logits)][: TABLE.shown].tolist()


def test_a_gated_device_keeps_the_published_model_where_its_own_would_be_worse(lived: tuple[World, Dataset]) -> None:
    world, log = lived
    published = publish("din[history=5]", log.schema)
    day, never = (
        live(0, np.arange(log.users), world, log, published, strategy, RECIPE)
        for strategy in (Gate(0.4, "log-loss"), NoFineTuning())
    )
    tuned = day.visits["tuned"].astype(bool)
    assert 0 < tuned.sum() < len(tuned)
    untouched = np.repeat(~tuned, TABLE.shown)
    assert np.array_equal(day.shown["item"][untouched], never.shown["item"][untouched])


def test_a_hook_that_fails_is_blamed_on_its_user(lived: tuple[World, Dataset]) -> None:
    class Failing(FineTuning):
        def targets(self, local, published):  # type: ignore[no-untyped-def]
            raise KeyError("oh")

    world, log = lived
    with pytest.raises(UserError, match="KeyError: 'oh'"):
        live(0, np.arange(log.users), world, log, publish("lr", log.schema), Failing(), RECIPE)
