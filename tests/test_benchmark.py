from pathlib import Path

import pandas as pd
import pytest

import fedctr
from fedctr.benchmark import bench
from fedctr.summary import Result
from tests.application import experiment

pytestmark = pytest.mark.usefixtures("small_cache")


def test_from_python_in_five_lines(reference: Result, tmp_path: Path) -> None:
    """As the documentation of the package has it."""
    from fedctr import Experiment, bench

    assert Experiment is type(experiment(tmp_path))
    result = bench(experiment(tmp_path / "run", strategies=("no-fine-tuning",), seeds=1))
    assert "no-fine-tuning" in result.table()
    assert result.folder == tmp_path / "run"
    expected = reference.users.query("strategy == 'no-fine-tuning' and seed == 0").reset_index(drop=True)
    pd.testing.assert_frame_equal(result.users, expected, check_exact=True)


@pytest.mark.parametrize("name", fedctr.__all__)
def test_what_the_package_announces_is_there_and_no_module(name: str) -> None:
    """A module that is called like what it holds would hide it once it is imported."""
    assert type(getattr(fedctr, name)).__name__ != "module"


def test_every_strategy_scores_its_own_models(reference: Result) -> None:
    """No two strategies leave a user with the same model."""
    test = reference.users.query("split == 'test' and seed == 0")
    losses = test.pivot(index="user", columns="strategy", values="log_loss")
    names = list(losses.columns)
    for first, second in ((a, b) for a in names for b in names if a < b):
        assert (losses[first] != losses[second]).mean() > 0.9


def test_where_there_is_nothing_to_choose_validation_is_left_out(tmp_path: Path) -> None:
    result = bench(experiment(tmp_path / "run", learning_rates=(0.1,), epochs=(2,), seeds=1))
    assert set(result.users["split"]) == {"test"}
    assert {cell.name.partition("-")[0] for cell in (result.folder / "cells").iterdir()} == {"test"}
    tuned = result.summary["strategies"]["fine-tuning"]
    assert (tuned["learning_rate"], tuned["epochs"], tuned["validation"]) == (0.1, 2, [])
