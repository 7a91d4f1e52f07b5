import numpy as np
import pytest
import torch

from fedctr import engine, loop
from fedctr.cohort import Cohort
from fedctr.errors import FedctrError
from fedctr.published import Published
from fedctr.randomness import uniform
from fedctr.recipe import Recipe
from fedctr.strategy import Local, soft_labels, strategies
from strategies.random_target import RandomTarget
from tests.engine import ANYTHING, features_of, local_of, publish

MANY = 2_000
LOCAL = local_of(*[[1, 0]] * MANY)


def test_by_hand() -> None:
    # At a global CTR of one quarter and spread 0.5 the target lies between 0.125 and 0.375.
    draws = uniform(0, "random-target", np.arange(2))
    found = soft_labels(RandomTarget(), local_of([1, 0], [0, 0, 0]), ANYTHING)
    targets = 0.125 + 0.25 * draws
    torch.testing.assert_close(found[0, :2], torch.tensor([2 * targets[0], 0.0]))
    torch.testing.assert_close(found[1], torch.full((3,), float(targets[1])))


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_the_target_is_right_on_average_and_spread_evenly(spread: float) -> None:
    means = LOCAL.mean(soft_labels(RandomTarget(spread), LOCAL, ANYTHING)).squeeze(1)
    assert means.mean().item() == pytest.approx(0.25, abs=0.01)
    low, high = 0.25 * (1 - spread), 0.25 * (1 + spread)
    assert low <= means.min().item() < low + 0.01
    assert high - 0.01 < means.max().item() <= high


def test_it_has_nothing_to_do_with_the_user() -> None:
    positives = torch.arange(MANY) % 2
    local = local_of(*([1, 1] if positive else [0, 0] for positive in positives))
    means = local.mean(soft_labels(RandomTarget(), local, ANYTHING)).squeeze(1)
    torch.testing.assert_close(means, LOCAL.mean(soft_labels(RandomTarget(), LOCAL, ANYTHING)).squeeze(1))


class Drawn(RandomTarget):
    """Remembers the users' draws of all calls."""

    def targets(self, local: Local, published: Published) -> torch.Tensor:
        seen.append(local.random(self.name)[:, 0].tolist())
        return super().targets(local, published)


seen: list[list[float]] = []


@pytest.mark.usefixtures("one_thread")
def test_a_draw_goes_by_seed_and_user_in_both_engines() -> None:
    features = features_of([5, 6, 7], [2, 2, 2])
    published = publish("lr", features.dataset.schema)
    seen.clear()
    for seed in (3, 4):
        recipe, users = Recipe(seed, 0.1, 1), np.array([2, 0])
        cohort = Cohort.build(features, users, "test", 32, published.model.reads)
        next(engine.fine_tune(published, Drawn(), cohort, cohort.local(published, seed), recipe))
        for user in users:
            next(loop.fine_tune(published, Drawn(), features, int(user), recipe))
        together, *alone = seen[-3:]
        expected = uniform(seed, "random-target", users).tolist()
        assert together[:2] == [draw for [draw] in alone] == expected
    assert not set(seen[0]) & set(seen[3])


def test_a_minibatch_draws_as_all_samples_do() -> None:
    local = local_of([1, 0, 1], [0, 0, 1])
    whole = local.random("any")
    assert torch.equal(local.at(torch.tensor([[0], [2]])).random("any"), whole)
    assert torch.equal(local.block(1, 2, 1).random("any"), whole[:1])
    assert not torch.equal(local.random("other"), whole)


@pytest.mark.parametrize("value", ["0", "1.1", "-1", "far", "nan"])
def test_a_spread_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(FedctrError, match=r"spread .* must be a number above 0, up to 1"):
        strategies.create(f"random-target[spread={value}]")
