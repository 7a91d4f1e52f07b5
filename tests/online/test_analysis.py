"""A whole test of three arms, of which one has a lift."""

import json
from typing import Any

import pandas as pd
import pytest

from fedctr.online.analysis import analyse, by_day, curves, lift
from fedctr.online.exposure import exposure
from tests.online.visits import visits

ARMS = ("control", "same", "better")
PAIRS = [("same", "control"), ("better", "control"), ("better", "same")]


@pytest.fixture(scope="module")
def daily() -> pd.DataFrame:
    return visits(3, 4000, {"control": 0, "same": 0, "better": 0.15})


@pytest.fixture(scope="module")
def found(daily: pd.DataFrame) -> dict[str, Any]:
    return analyse(daily, ARMS, PAIRS)


def test_the_lift_that_is_there_is_found_and_no_other(found: dict[str, Any]) -> None:
    same, better, over_same = found["lifts"]
    for metric in ("ctr", "clicks_per_user"):
        assert better[metric]["corrected_low"] > 0
        assert over_same[metric]["corrected_low"] > 0
        assert same[metric]["low"] < 0 < same[metric]["high"]
    assert better["ctr"]["low"] < 0.15 < better["ctr"]["high"]
    assert found["sample_ratio_p_value"] > 0.001
    json.dumps(found, allow_nan=False)


def test_limits_lie_around_one_another(found: dict[str, Any]) -> None:
    ctr = found["lifts"][1]["ctr"]
    assert ctr["always_valid_low"] < ctr["corrected_low"] < ctr["low"] < ctr["mean"]
    assert ctr["mean"] < ctr["high"] < ctr["corrected_high"] < ctr["always_valid_high"]


def test_groups_hold_all_users_who_came_before(daily: pd.DataFrame, found: dict[str, Any]) -> None:
    users = exposure(daily)
    compared = users[users["arm"].isin(["better", "control"])]
    entry = found["lifts"][1]
    assert sum(group["users"] for group in entry["by_activity"].values()) == len(compared)
    came = int((compared["impressions_before"] > 0).sum())
    assert sum(group["users"] for group in entry["by_drift"].values()) == came


def test_a_missing_arm_is_a_sample_ratio_that_cannot_be() -> None:
    daily = visits(0, 1000, {"a": 0, "b": 0})
    fewer = daily[(daily["arm"] == "a") | (daily["user"] % 2 == 0)]
    assert analyse(fewer, ("a", "b"), [("b", "a")])["sample_ratio_p_value"] < 1e-6
    gone = analyse(daily[daily["arm"] == "a"], ("a", "b"), [("b", "a")])
    assert gone["lifts"][0]["ctr"]["mean"] is None


def test_the_last_day_of_the_curve_is_the_whole_test(daily: pd.DataFrame) -> None:
    rows = curves(daily, PAIRS[:2])
    assert len(rows) == 14 * 2 * 2
    last = rows[(rows["day"] == 13) & (rows["arm"] == "better") & (rows["metric"] == "ctr")].iloc[0]
    users = exposure(daily)
    whole = lift("ctr", users[users["arm"] == "better"], users[users["arm"] == "control"])
    assert {key: last[key] for key in whole} == whole
    better = rows[(rows["arm"] == "better") & (rows["metric"] == "ctr")]
    widths = (better["always_valid_high"] - better["always_valid_low"]).to_numpy()
    assert widths[-1] < widths[0] / 2


def test_before_the_first_day_there_is_no_curve(daily: pd.DataFrame) -> None:
    before = daily[daily["day"] < 0]
    assert curves(before, PAIRS).empty
    assert analyse(before, ARMS, PAIRS)["lifts"][0]["ctr"]["mean"] is None


def test_days_add_up(daily: pd.DataFrame) -> None:
    days = by_day(daily)
    assert days["clicks"].sum() == daily["clicks"].sum()
    first = daily[(daily["day"] == -7) & (daily["arm"] == "same")]
    row = days[(days["day"] == -7) & (days["arm"] == "same")].iloc[0]
    assert (row["users"], row["ctr"]) == (len(first), first["clicks"].sum() / first["impressions"].sum())
