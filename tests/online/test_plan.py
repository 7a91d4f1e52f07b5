"""What a plan promises, and whether the tests keep it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fedctr.errors import FedctrError
from fedctr.online.exposure import exposure
from fedctr.online.lift import Metric, log_lift
from fedctr.online.plan import Traffic, lift_found, power, users_needed
from tests.online.visits import visits

SEEDS = 160
LIFT = 0.15


@pytest.mark.exhaustive
@pytest.mark.parametrize(("metric", "turn"), [("ctr", 0), ("clicks_per_user", 0), ("ctr", 0.2)])
def test_a_planted_lift_is_found_with_the_power_that_was_promised(metric: Metric, turn: float) -> None:
    measured = Traffic.measure(metric, visits(1000, 20_000, {"a": 0}, days=1, turn=turn), 20_000)
    each = users_needed(measured, LIFT, days=7)
    assert power(measured, LIFT, each, 7) == pytest.approx(0.8, abs=0.002)
    found = 0
    for seed in range(SEEDS):
        users = exposure(visits(seed, 2 * each, {"a": 0, "b": LIFT}, days=7, turn=turn))
        found += log_lift(metric, *(users[users["arm"] == arm] for arm in ("b", "a"))).interval()[0] > 0
    assert stats.binom.ppf(0.005, SEEDS, 0.8) <= found <= 0.9 * SEEDS, (found, each)


def test_tastes_that_turn_are_seen_before_the_test() -> None:
    """cos(turn * k) is about exp(-turn^2 / 2 * k^2); chances, which go by its exponential, part a little faster."""
    still, turning = (
        Traffic.measure("ctr", visits(0, 20_000, {"a": 0}, days=0, turn=turn), 20_000) for turn in (0, 0.2)
    )
    assert still.decay < 0.002
    assert turning.decay == pytest.approx(0.025, rel=0.2)
    assert users_needed(replace(turning, decay=0.0), LIFT, 7) < 0.75 * users_needed(turning, LIFT, 7)


def test_a_short_pre_period_promises_nothing_of_itself() -> None:
    measured = Traffic.measure("ctr", visits(0, 2000, {"a": 0}, days_before=3), 2000)
    assert measured.decay == np.inf
    assert measured.variance(5) == measured.between + measured.within / 5


def test_variances_of_users_and_days_are_told_apart() -> None:
    """Every user comes every day: the components follow from the distribution that clicks are drawn from."""
    rng = np.random.default_rng(0)
    users, days = 5000, 8
    level = 20 + 4 * rng.standard_normal(users)
    clicks = np.rint(level[:, None] + 6 * rng.standard_normal((users, days)))
    daily = visits(0, 1, {"a": 0}, days=0, days_before=0)
    daily = daily.reindex(range(users * days)).assign(
        user=np.repeat(np.arange(users), days),
        day=np.tile(np.arange(-days, 0), users),
        impressions=100,
        clicks=clicks.reshape(-1),
    )
    measured = Traffic.measure("clicks_per_user", daily, users)
    assert measured.between == pytest.approx(4**2 / 20**2, rel=0.06)
    assert measured.within == pytest.approx(6**2 / 20**2, rel=0.03)
    same = Traffic.measure("ctr", daily, users)  # all are shown the same number
    assert same.between == pytest.approx(measured.between)
    assert same.within == pytest.approx(measured.within)


def test_power_by_hand() -> None:
    """Variance 0.25 - 0.2^2 / 0.3 of a user after the pre-period."""
    traffic = Traffic("ctr", between=0.2, within=0.5, days_before=5)
    assert traffic.variance(10) == pytest.approx(0.25 - 0.04 / 0.3)
    deviation = (2 * traffic.variance(10) / 1000) ** 0.5
    expected = stats.norm.sf(1.959964 - np.log(1.05) / deviation) + stats.norm.cdf(-1.959964 - np.log(1.05) / deviation)
    assert power(traffic, 0.05, 1000, 10) == pytest.approx(expected, rel=1e-5)
    assert power(traffic, 0.0, 1000, 10) == pytest.approx(0.05)


def test_decay_by_hand() -> None:
    """A day of the test is 1 and 2 days from those before it, which are 1 day apart."""
    traffic = Traffic("ctr", between=0.2, within=0.5, days_before=2, decay=0.1)
    retained = (np.exp(-0.1) + np.exp(-0.4)) / 2 / np.exp(-0.1)
    assert traffic.variance(1) == pytest.approx(0.7 - (0.2 * retained) ** 2 / 0.45)


def test_size_and_lift_are_inverse() -> None:
    traffic = Traffic("ctr", between=0.2, within=0.5, days_before=5)
    each = users_needed(traffic, lift_found(traffic, 5000, 14), 14)
    assert each in (5000, 5001)
    assert users_needed(traffic, 0.02, 28) < users_needed(traffic, 0.02, 14) < users_needed(traffic, 0.01, 14)
    assert users_needed(traffic, 0.02, 14, level=1 - 0.05 / 3) > users_needed(traffic, 0.02, 14)


def test_too_little_to_plan_by() -> None:
    daily = visits(0, 100, {"a": 0}, days_before=1)
    with pytest.raises(
        FedctrError, match=r"^a pre-period of 1 days with \d+ clicks is too little to plan by; set pre_d"
    ):
        Traffic.measure("ctr", daily, 100)
    with pytest.raises(FedctrError, match="a pre-period of 7 days with 0 clicks"):
        Traffic.measure("ctr", visits(0, 100, {"a": 0}).assign(clicks=0), 100)
