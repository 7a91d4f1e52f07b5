"""Two hundred tests of equal arms: how often something is found that is not there."""

import numpy as np
import pytest
from scipy import stats

from fedctr.online.exposure import exposure, exposures
from fedctr.online.lift import METRICS, LogLift, Metric, log_lift
from fedctr.online.sample_ratio import sample_ratio_p_value
from fedctr.online.sequential import always_valid
from tests.online.visits import visits

SEEDS = 200
USERS = 500
DAYS = 10
EQUAL = {"a": 0.0, "b": 0.0}


@pytest.fixture(scope="module")
def looked() -> list[list[dict[Metric, LogLift]]]:
    """By test and day, what somebody sees who looks at the end of every day: CTR, on the last day both metrics."""
    found = []
    for seed in range(SEEDS):
        daily = visits(seed, USERS, EQUAL, days=DAYS)
        days = []
        for day, users in exposures(daily):
            arms = [users[users["arm"] == arm] for arm in EQUAL]
            metrics = METRICS if day == DAYS - 1 else METRICS[:1]
            days.append({metric: log_lift(metric, *arms) for metric in metrics})
        found.append(days)
    return found


def within_chance(alarms: int, rate: float) -> bool:
    low, high = stats.binom.interval(0.95, SEEDS, rate)
    return bool(low <= alarms <= high)


@pytest.mark.exhaustive
@pytest.mark.parametrize("metric", METRICS)
def test_on_the_last_day_one_test_in_twenty_raises_a_false_alarm(
    metric: Metric, looked: list[list[dict[Metric, LogLift]]]
) -> None:
    alarms = sum(days[-1][metric].p_value < 0.05 for days in looked)
    assert within_chance(alarms, 0.05), alarms


@pytest.mark.exhaustive
def test_looking_every_day_raises_more_and_always_valid_limits_do_not(
    looked: list[list[dict[Metric, LogLift]]],
) -> None:
    careless = sum(any(day["ctr"].p_value < 0.05 for day in days) for days in looked)
    careful = sum(any(excludes_zero(day["ctr"]) for day in days) for days in looked)
    assert careless > stats.binom.interval(0.95, SEEDS, 0.05)[1]
    assert careful <= stats.binom.interval(0.95, SEEDS, 0.05)[1], careful


def excludes_zero(found: LogLift) -> bool:
    low, high = always_valid(found)
    return low > 0 or high < 0


def test_always_valid_limits_by_hand() -> None:
    """With v = tau^2 the limit x solves sqrt(1/2) * exp(x^2 / (4 v)) = 20."""
    low, high = always_valid(LogLift(0.0, 0.05**2, 0.0, 100))
    expected = (4 * 0.05**2 * np.log(20 * 2**0.5)) ** 0.5
    np.testing.assert_allclose([np.log1p(low), np.log1p(high)], [-expected, expected])
    assert np.isnan(always_valid(LogLift(0.1, float("nan"), 0.0, 100))).all()


def test_a_lift_that_is_there_is_found_in_time() -> None:
    daily = visits(0, 4000, {"a": 0, "b": 0.15})
    users = exposure(daily[daily["day"] <= 6])
    low, _ = always_valid(log_lift("ctr", *(users[users["arm"] == arm] for arm in ("b", "a"))))
    assert low > 0


def test_sample_ratio() -> None:
    # 4 sums of (count - 100)^2 / 100: 4 + 4 = 8 with one degree of freedom.
    assert sample_ratio_p_value([120, 80]) == pytest.approx(stats.chi2.sf(8, 1))
    assert sample_ratio_p_value([100, 100, 100]) == 1
    assert sample_ratio_p_value([0, 0]) == 1
