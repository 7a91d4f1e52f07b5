from dataclasses import fields, replace
from math import cos, exp, pi, sin, sqrt
from pathlib import Path

import numpy as np
import pytest

from fedctr.online.settings import SyntheticTable, WorldTable
from fedctr.online.synthetic import births, synthetic_world
from fedctr.online.world import Candidates, Truth, World
from tests.online.worlds import certain

DAYS = range(-3, 5)


def synthetic(**table: object) -> World:
    chosen = SyntheticTable(**{"users": 2000, "items": 100, "candidates": 20, "shown": 5, **table})  # type: ignore[arg-type]
    return World(synthetic_world(chosen, 0, DAYS)[0], chosen, 0)


EVERYBODY = np.arange(2000)


def test_a_place_is_looked_at_with_its_power() -> None:
    assert certain([[True] * 4], position_bias=0.5).looked_at == pytest.approx([1, 1 / sqrt(2), 1 / sqrt(3), 0.5])


def test_clicks_to_expect_and_those_of_the_oracle() -> None:
    world = certain([[True] * 2], shown=2, position_bias=1.0)
    chance = [1 / (1 + exp(-odds)) for odds in (-1, 0, 2)]
    offered = Candidates(np.array([[0, 1, 2]]), np.array([[0, 1, 2]]), np.array([[-1.0, 0.0, 2.0]]))
    assert world.expected(np.array([[-1.0, 2.0]]))[0] == pytest.approx([chance[0], chance[2] / 2])
    assert world.oracle(offered) == pytest.approx([chance[2] + chance[1] / 2])


def test_a_taste_turns_from_its_own_towards_the_other() -> None:
    world = certain([[True]], turn=pi / 6)
    truth = replace(world.truth, lasting=np.array([[1.0]]), own=np.array([[2.0]]), other=np.array([[4.0]]))
    truth = replace(truth, intercept=np.array([10.0]), appeal=np.array([20.0]), factors=np.array([[0.5]]))
    for day in (0, 1, 3):
        taste = 1 + 2 * cos(day * pi / 6) + 4 * sin(day * pi / 6)
        found = replace(world, truth=truth).candidates(day, np.array([0])).log_odds
        assert found[0, 0] == pytest.approx(30 + taste / 2)


def test_users_arrive_as_often_as_they_should() -> None:
    world = synthetic(arrival=0.3)
    visits = sum(np.isin(EVERYBODY, world.arriving(day, EVERYBODY)) for day in range(400))
    spread = np.sqrt(world.truth.arrival * (1 - world.truth.arrival) / 400)
    assert np.median(world.truth.arrival) == pytest.approx(0.3, abs=0.03)
    assert (np.abs(visits / 400 - world.truth.arrival) < 5 * spread).all()


def test_retrieval_goes_by_popularity_and_by_the_users_taste() -> None:
    world = certain([[True, False, True, False]] * 2000, candidates=1, shown=1, precision=0.0)
    truth = replace(world.truth, lasting=world.truth.lasting / 100, exposure=np.array([0.1, 0.2, 0.3, 0.4]))
    for precision in (0.0, 1.0):
        table = replace(world.table, precision=precision)
        found = World(truth, table, 0).candidates(0, EVERYBODY).items[:, 0]
        weights = truth.exposure * np.exp(precision * np.array([1, -1, 1, -1]))
        expected = weights / weights.sum()
        tolerance = 4 * np.sqrt(expected * (1 - expected) / 2000)
        assert (np.abs(np.bincount(found, minlength=4) / 2000 - expected) < tolerance).all()


def test_candidates_are_distinct_and_there_already() -> None:
    world = synthetic(new_items=4)
    assert np.bincount(world.truth.born - DAYS.start).tolist() == [100, *[4] * 7]
    for day in (DAYS.start, 2):
        offered = world.candidates(day, EVERYBODY[:300])
        assert (np.diff(offered.items) > 0).all()
        assert (world.truth.born[offered.items] <= day).all()
        assert (np.sort(offered.found) == np.arange(20)).all()


def test_items_join_in_their_order() -> None:
    assert births(np.array([2, 0, 3, 1, 4]), 1, range(-1, 2)).tolist() == [-1, 0, -1, -1, 1]
    assert births(np.arange(3), 0, range(-1, 2)).tolist() == [-1, -1, -1]


def test_clicks_are_as_likely_as_they_should_be_and_fall_with_the_place() -> None:
    world = synthetic(users=20_000, shown=5)
    users = np.arange(20_000)
    items, log_odds = np.tile(np.arange(5), (20_000, 1)), np.full((20_000, 5), 0.5)
    clicks = world.clicks(1, users, items, log_odds)
    expected = world.expected(log_odds)[0]
    assert clicks.mean(0) == pytest.approx(expected, abs=0.015)
    shifted = np.roll(items, 1, axis=1)  # all but the last item stand one place further down
    again = world.clicks(1, users, shifted, log_odds)
    assert not (again[:, 1:] & ~clicks[:, :-1]).any()


def test_all_users_have_draws_of_their_own() -> None:
    world = synthetic()
    some = np.array([7, 300, 1999])
    whole, alone = world.candidates(1, EVERYBODY), world.candidates(1, some)
    for field in fields(Candidates):
        assert np.array_equal(getattr(whole, field.name)[some], getattr(alone, field.name))
    assert np.array_equal(np.intersect1d(world.arriving(1, EVERYBODY), some), world.arriving(1, some))


def test_a_truth_is_kept_to_the_bit(tmp_path: Path) -> None:
    truth = synthetic().truth
    truth.save(tmp_path / "world.npz")
    again = Truth.load(tmp_path / "world.npz")
    assert all(np.array_equal(getattr(truth, field.name), getattr(again, field.name)) for field in fields(Truth))


def test_the_synthetic_world_has_the_drift_and_the_ctr_that_were_asked_for() -> None:
    calm, stormy = (synthetic(drift=drift, ctr=0.2, turn=0.0) for drift in (0.0, 1.5))
    assert calm.truth.intercept.std() == 0
    assert stormy.truth.intercept.std() == pytest.approx(1.5, rel=0.05)
    world = synthetic(ctr=0.2, precision=0.0, candidates=1, shown=1)
    assert world.expected(world.candidates(0, EVERYBODY).log_odds).mean() == pytest.approx(0.2, abs=0.015)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"shown": 9, "candidates": 8}, "shown 9 must be from 1 to candidates 8"),
        ({"arrival": 1.0}, "arrival 1.0 must be a probability above 0 and below 1"),
        ({"turn": -0.1}, "turn -0.1 must be a number of at least 0"),
    ],
)
def test_a_world_that_cannot_be_is_refused(keys: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorldTable(**keys)  # type: ignore[arg-type]
