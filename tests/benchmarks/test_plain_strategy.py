"""``experiments/benchmarks/plain_strategy.py``: what each strategy does in the plain loop is what fedctr has it do."""

import numpy as np
import pytest
import workload
from plain_strategy import People, StrategyLoop, dry_parts

from fedctr import loop
from fedctr.features import Features
from fedctr.holdout import chosen_of, held_out
from fedctr.judgement import Judged
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, share_held_out, strategies
from tests.engine import cut, publish, world

pytestmark = pytest.mark.usefixtures("one_thread")

TRAIN, TEST = [40, 33, 1], [9, 12, 5]
RECIPE = Recipe(workload.SEED, workload.LEARNING_RATE, workload.EPOCHS, workload.BATCH_SIZE)


@pytest.mark.parametrize("name", strategies.classes())
def test_every_strategy_offers_and_takes_the_same(name: str) -> None:
    agrees("wide-deep[hidden=[8,4]]", strategies.create(name))


@pytest.mark.parametrize("spec", ["low-rank[rank=3]", "scale-only", "proximal", "bias-only"])
def test_first_layers_are_divided_for_what_changes_a_part_of_them(spec: str) -> None:
    agrees("dcn-v2[hidden=[8,4]]", strategies.create(spec))


def agrees(model: str, strategy: ClientStrategy) -> None:
    dataset = world([a + b for a, b in zip(TRAIN, TEST, strict=True)])
    parts, published = cut(dataset, TRAIN), publish(model, dataset.schema)
    features = Features(dataset, parts, range(dataset.users), published.model.history_length)
    share = share_held_out(strategy)
    dry = People.build(dataset, dry_parts(parts, share), published.model) if share else None
    plain = StrategyLoop(strategy, published, People.build(dataset, parts, published.model), dry)
    for user in range(dataset.users):
        expected = loop.candidates(published, strategy, features, user, RECIPE, "test")
        np.testing.assert_allclose(plain.candidates(plain.real.people[user]), expected, rtol=1e-5, atol=1e-5)
        assert plain.choice(user) == (choice(published, strategy, held_out(features, share), user) if share else 0)


def choice(published: Published, strategy: ClientStrategy, features: Features, user: int) -> int:
    """Which candidate a user takes after a dry run."""
    first, stop = (int(edges[user]) for edges in features.split.bounds("validation"))
    offered = loop.candidates(published, strategy, features, user, RECIPE, "validation")
    judged = Judged.of(offered, features.dataset.label[first:stop], np.array([stop - first]))
    return int(chosen_of(strategy, judged)[0])
