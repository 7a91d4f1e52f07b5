"""What a test promises before its first day."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fedctr.errors import FedctrError
from fedctr.online.abtest import abtest, plan
from fedctr.online.forecast import render
from fedctr.online.plan import Traffic, lift_found, power, users_needed
from tests.online.worlds import small_test

Fedctr = Callable[..., tuple[int, str, str]]
SMALL = {"model": "lr", "pre_days": 4, "days": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a test of 48 users in three arms that has been planned."""
    folder = tmp_path_factory.mktemp("plan") / "run"
    assert plan(small_test(folder, **SMALL)).folder == folder
    return folder


def test_only_the_days_before_the_test_are_simulated(folder: Path) -> None:
    assert sorted(day.name for day in (folder / "days").iterdir()) == [f"day-{day}" for day in range(1, 7)]


def test_power_is_that_of_the_corrected_interval(folder: Path) -> None:
    found = json.loads((folder / "plan.json").read_text())
    assert (found["users_per_arm"], found["comparisons"]) == (16, 3)
    daily = pd.concat(pd.read_parquet(folder / f"days/day-{day}/visits.parquet") for day in range(1, 5))
    for metric in ("ctr", "clicks_per_user"):
        traffic, entry = Traffic.measure(metric, daily, 48), found["metrics"][metric]
        level = 1 - 0.05 / 3
        assert entry["power"][2] == {"lift": 0.05, "power": pytest.approx(power(traffic, 0.05, 16, 1, level))}
        assert entry["smallest_lift"] == pytest.approx(lift_found(traffic, 16, 1, 0.8, level))
        assert [(row["days"], row["lift"]) for row in entry["users_needed"][3:5]] == [(1, 0.1), (2, 0.01)]
        assert entry["users_needed"][-1]["users"] == users_needed(traffic, 0.1, 2, 0.8, level)


def test_the_test_goes_on_from_there(folder: Path, tmp_path: Path) -> None:
    planned, whole = abtest(small_test(folder, **SMALL)), abtest(small_test(tmp_path / "whole", **SMALL))
    pd.testing.assert_frame_equal(planned.daily, whole.daily)
    assert planned.summary == whole.summary


def test_a_plan_is_two_tables() -> None:
    needed = [{"days": days, "lift": lift, "users": 1234} for days in (7, 14, 28) for lift in (0.01, 0.02, 0.05, 0.1)]
    powers = [{"lift": lift, "power": 10 * lift} for lift in (0.01, 0.02, 0.05, 0.1)]
    entry = {"smallest_lift": 0.034, "power": powers, "users_needed": needed}
    lines = render(
        {
            **{"days": 14, "pre_days": 7, "arms": 2, "users_per_arm": 1500, "comparisons": 1, "level": 0.95},
            **{"wanted_power": 0.8, "metrics": {"ctr": entry, "clicks_per_user": entry}},
        }
    ).splitlines()
    rows = [line.split() for line in lines]
    assert lines[0] == "Power of 14 days with 1,500 users in each of 2 arms"
    assert ["CTR", "10%", "20%", "50%", "100%", "+3.4%"] in rows
    assert ["clicks", "per", "user", "28", "1,234", "1,234", "1,234", "1,234"] in rows
    assert "of level 0.95, looked at once" in " ".join(lines)


def test_the_command_prints_it(fedctr: Fedctr, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "test.toml").write_text(small_test(folder, **SMALL).to_toml())
    code, out, _ = fedctr("abtest", "test.toml", "--plan")
    assert code == 0
    assert out.startswith("Power of 1 day with 16 users in each of 3 arms")
    assert out.endswith(f"Run folder: {folder}; without --plan, --out {folder} goes on from there.\n")
    code, out, _ = fedctr("abtest", "test.toml", "--plan", "--json")
    assert json.loads(out) == json.loads((folder / "plan.json").read_text())


def test_a_pre_period_that_is_too_short_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match=r"^pre_days: 1 days are too few to plan by; set it to 4 or m"):
        plan(small_test(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
