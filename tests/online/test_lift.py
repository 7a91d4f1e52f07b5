"""Lifts by hand, against a bootstrap of users, and in worlds of which the truth is known."""

from math import log

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fedctr.online.exposure import exposure
from fedctr.online.lift import METRICS, LogLift, Metric, log_lift
from tests.online.visits import visits


def arms(daily: pd.DataFrame) -> list[pd.DataFrame]:
    users = exposure(daily)
    return [users[users["arm"] == arm] for arm in ("b", "a")]


def users_of(clicks: list[int], impressions: list[int]) -> pd.DataFrame:
    columns = {"clicks": clicks, "impressions": impressions}
    return pd.DataFrame(columns | {"clicks_before": 0, "impressions_before": 0})


def test_the_estimate_by_hand() -> None:
    own, other = users_of([4, 2], [10, 10]), users_of([1, 2, 0], [10, 5, 15])
    assert log_lift("ctr", own, other).mean == pytest.approx(log((6 / 20) / (3 / 30)))
    assert log_lift("clicks_per_user", own, other).mean == pytest.approx(log((6 / 2) / (3 / 3)))
    assert log_lift("ctr", own, other).users == 5


def test_the_variance_by_hand() -> None:
    """Sixty users click 1 of 10 and sixty 3 of 10: a mean of 2 clicks, each off by half of it."""
    some = users_of([1] * 60 + [3] * 60, [10] * 120)
    for metric in METRICS:
        found = log_lift(metric, some, some)
        assert found.mean == 0
        assert found.variance == pytest.approx(2 * 0.5**2 / 119)
        assert found.variance_removed == 0


def test_few_users_who_click_have_no_limits() -> None:
    many, few = users_of([1, 2] * 30, [10] * 60), users_of([1] * 49 + [0] * 500, [10] * 549)
    found = log_lift("ctr", few, many)
    assert np.isfinite(found.mean)
    assert np.isnan(found.interval()).all()
    assert np.isnan(found.p_value)
    assert not np.isnan(log_lift("ctr", users_of([1] * 50 + [0] * 500, [10] * 550), many).variance)
    assert np.isnan(log_lift("ctr", users_of([0], [10]), many).mean)


@pytest.mark.parametrize("metric", METRICS)
def test_the_deviation_is_that_of_a_bootstrap_of_users(metric: Metric) -> None:
    own, other = arms(visits(0, 1500, {"a": 0, "b": 0.1}, days_before=0))
    rng = np.random.default_rng(0)

    def drawn(users: pd.DataFrame) -> np.ndarray:
        weights = rng.multinomial(len(users), np.full(len(users), 1 / len(users)), size=2000)
        whole = weights @ users["impressions"].to_numpy() if metric == "ctr" else len(users)
        return np.asarray(np.log(weights @ users["clicks"].to_numpy() / whole))

    expected = (drawn(own) - drawn(other)).std()
    assert log_lift(metric, own, other).variance ** 0.5 == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("metric", METRICS)
def test_the_days_before_sharpen_the_estimate_and_do_not_move_it(metric: Metric) -> None:
    tests = [arms(visits(seed, 800, {"a": 0, "b": 0.1})) for seed in range(60)]
    found = [log_lift(metric, *pair) for pair in tests]
    plain = [log_lift(metric, *(arm.assign(clicks_before=0, impressions_before=0) for arm in pair)) for pair in tests]
    assert np.mean([each.variance_removed for each in found]) > 0.3
    spread = np.std([each.mean for each in found])
    assert spread < 0.85 * np.std([each.mean for each in plain])
    assert np.mean([each.mean for each in found]) == pytest.approx(log(1.1), abs=3 * spread / 60**0.5)
    assert np.mean([each.variance for each in found]) ** 0.5 == pytest.approx(spread, rel=0.3)


def test_limits_of_the_normal_distribution() -> None:
    found = LogLift(log(1.05), 0.02**2, 0.0, 100)
    low, high = found.interval(0.95)
    assert log(1.05) - log(1 + low) == pytest.approx(1.959964 * 0.02, rel=1e-6)
    assert log(1 + high) - log(1.05) == pytest.approx(1.959964 * 0.02, rel=1e-6)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(log(1.05) / 0.02))


def test_an_arm_beside_itself_has_no_lift() -> None:
    _, arm = arms(visits(1, 500, {"a": 0, "b": 0}))
    found = log_lift("ctr", arm, arm)
    assert found.mean == 0
    assert found.p_value == 1
