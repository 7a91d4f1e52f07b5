"""A folder of an A/B test, as listings, exports and trackers read it."""

from pathlib import Path

import pandas as pd
import pytest

from fedctr.errors import FedctrError
from fedctr.kept.abtest import ABTestRun
from fedctr.kept.finding import kept_run
from tests.kept.folders import write_abtest
from tests.online.visits import visits

LIFTS = {"no-fine-tuning": 0, "fine-tuning": 0, "label-correction": 0.3}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ABTestRun:
    found = kept_run(write_abtest(tmp_path_factory.mktemp("kept") / "run", visits(0, 3000, LIFTS, days=3)))
    assert isinstance(found, ABTestRun)
    return found


def test_it_is_headed_by_the_lift_of_label_correction(run: ABTestRun) -> None:
    facts = run.facts()
    assert (facts["kind"], facts["dataset"], facts["model"], facts["finished"]) == (
        "abtest",
        "synthetic world",
        "lr",
        True,
    )
    assert facts["headline"].startswith("label-correction raises CTR against no-fine-tuning: +")


def test_a_row_has_an_arm_and_its_lifts_over_every_baseline(run: ABTestRun) -> None:
    control, plain, correction = run.rows()
    assert control == {"arm": "no-fine-tuning", **run.summary["arms"]["no-fine-tuning"]}
    assert plain["vs no-fine-tuning.ctr.mean"] == run.summary["lifts"][0]["ctr"]["mean"]
    assert "vs fine-tuning.ctr.mean" not in plain
    assert correction["vs fine-tuning.by_drift.0-0.05.users"] == run.summary["lifts"][2]["by_drift"]["0-0.05"]["users"]
    assert run.figures()["label-correction/vs fine-tuning.ctr.mean"] == correction["vs fine-tuning.ctr.mean"]
    assert "label-correction" in run.export("markdown")


def test_curves_are_of_the_days_of_the_test(run: ABTestRun) -> None:
    curves = run.curves()
    days = run.frame("days")
    arm = days[(days["arm"] == "fine-tuning") & (days["day"] >= 0)]
    assert curves["CTR/fine-tuning"] == list(enumerate(arm["ctr"]))
    step, lift = curves["lift of CTR/label-correction vs fine-tuning"][-1]
    assert (step, lift) == (2, run.summary["lifts"][2]["ctr"]["mean"])


def test_a_test_that_was_stopped_says_how_far_it_came(tmp_path: Path) -> None:
    folder = write_abtest(tmp_path / "run", visits(0, 100, LIFTS, days=3))
    (folder / "summary.json").unlink()
    (folder / "days" / "day-9").mkdir()
    run = kept_run(folder)
    assert run.headline() == "not finished: 1 of 12 days"
    with pytest.raises(FedctrError, match=r"the A/B test is not finished; start it again with --out"):
        run.export("csv")


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    run = ABTestRun(write_abtest(tmp_path / "run", visits(0, 100, LIFTS, days=3)))
    (run.folder / "curve.parquet").write_text("no")
    with pytest.raises(FedctrError, match=r"curve.parquet: cannot be read"):
        run.curves()
    (run.folder / "summary.json").write_text("{}")
    with pytest.raises(FedctrError, match=r"summary.json: damaged"):
        run.headline()


def test_a_run_of_few_users_has_no_limits_and_no_gaps(tmp_path: Path) -> None:
    daily = visits(0, 100, LIFTS, days=3)
    run = ABTestRun(write_abtest(tmp_path / "run", daily))
    assert run.headline().endswith("nothing can be said: fewer than 50 users of one of them clicked.")
    assert pd.isna(run.frame("curve")["low"]).all()
    assert all(value is not None for value in run.figures().values())
