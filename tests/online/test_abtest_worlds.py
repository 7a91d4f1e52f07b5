"""experiments/abtest_worlds.py: what several A/B tests say together."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from fedctr.online.settings import ReplayTable, SyntheticTable

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "abtest_worlds.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("abtest_worlds", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    del sys.modules[spec.name]
    return module


def test_a_cell_is_the_shipped_test_in_another_world(script: ModuleType, tmp_path: Path) -> None:
    generated = script.Cell(2.0, 0.1, 1).settings(tmp_path)
    assert isinstance(generated.world, SyntheticTable)
    assert (generated.world.drift, generated.world.users, generated.seed) == (2.0, 10_000, 1)
    assert [arm.strategy for arm in generated.arms] == ["no-fine-tuning", "fine-tuning", "label-correction"]
    assert [arm.learning_rate for arm in generated.arms[1:]] == [0.1, 0.1]
    replay = script.Cell(None, 0.03, 0).settings(tmp_path)
    assert isinstance(replay.world, ReplayTable)
    assert len({cell.out for cell in (generated, replay, script.Cell(2.0, 0.03, 1).settings(tmp_path))}) == 3


def test_tests_of_one_world_are_weighed_by_their_precision(script: ModuleType) -> None:
    """Limits in log-odds of 0 +- 0.2 and 0.3 +- 0.1: weights 1 and 4, so 0.24, with an error of 0.1 / sqrt(1.25)."""
    common = {
        "metric": "CTR", "world": "w", "learning_rate": 0.1, "arm": "a", "baseline": "b", "users": 10, "regret": 0.5,
    }  # fmt: skip
    logs = [(0.0, -0.2, 0.2), (0.3, 0.2, 0.4)]
    limits = [dict(zip(("mean", "low", "high"), np.expm1(each), strict=True)) for each in logs]
    tests = pd.DataFrame([common | {"seed": seed} | each for seed, each in enumerate(limits)])
    (found,) = script.pooled(tests).to_dict("records")
    assert np.log1p([found["mean"], found["low"], found["high"]]) == pytest.approx(
        [0.24, 0.24 - 0.1 / 1.25**0.5, 0.24 + 0.1 / 1.25**0.5]
    )
    assert (found["users"], found["seeds"]) == (20, 2)
    assert found["corrected_low"] == found["low"]  # a single comparison


def test_an_interval_is_corrected_for_the_rows_of_its_metric(script: ModuleType) -> None:
    row = {
        "learning_rate": 0.1, "arm": "a", "baseline": "b", "users": 10, "regret": 0.5, "seed": 0, "mean": 0.0,
        "low": np.expm1(-0.1), "high": np.expm1(0.1),
    }  # fmt: skip
    tests = pd.DataFrame([row | {"metric": metric, "world": world} for metric in script.METRICS for world in "xy"])
    found = script.pooled(tests)
    normal = 0.1 / 1.959964  # one standard error; two comparisons leave 1.25 % on either side
    assert np.log1p(found["corrected_high"].to_numpy()) == pytest.approx(np.full(4, 2.241403 * normal))
