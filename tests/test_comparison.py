from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fedctr.comparison import compare
from fedctr.statistics import Interval, paired_difference

NAN = float("nan")
GLOBAL_CTR = 0.3
NAMES = ["no-fine-tuning", "fine-tuning", "pairwise"]
USERS = 40


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Test rows of 40 users, 3 strategies and 2 seeds; every fifth user has no AUC. The rows are shuffled."""
    rng = np.random.default_rng(0)
    samples, local = rng.integers(2, 40, USERS), rng.integers(5, 250, USERS)
    positives, local_positives = rng.binomial(samples, 0.3), rng.binomial(local, 0.3)
    rows = [
        {
            "user": f"u{user}",
            "strategy": name,
            "seed": seed,
            "split": "test",
            "samples": samples[user],
            "positives": positives[user],
            "local_samples": local[user],
            "local_positives": local_positives[user],
            "local_ctr": local_positives[user] / local[user],
            "learning_rate": 0.1,
            "epochs": 1,
            "auc": NAN if user % 5 == 0 else rng.random(),
            "log_loss": rng.random(),
            "ndcg_at_10": NAN if user % 7 == 0 else rng.random(),
            "predicted_clicks": rng.random() * samples[user],
            "diverged": False,
        }
        for user in range(USERS)
        for name in NAMES
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def found(table: pd.DataFrame) -> dict[str, Any]:
    return compare(table, NAMES, GLOBAL_CTR)


def over_seeds(table: pd.DataFrame, name: str, figure: Callable[[pd.DataFrame], float]) -> float:
    rows = table[table["strategy"] == name]
    return float(np.mean([figure(rows[rows["seed"] == seed]) for seed in (0, 1)]))


def weighted(column: str) -> Callable[[pd.DataFrame], float]:
    def mean(rows: pd.DataFrame) -> float:
        covered = rows.dropna(subset=column)
        return float((covered[column] * covered["samples"]).sum() / covered["samples"].sum())

    return mean


def wide(table: pd.DataFrame, name: str, column: str) -> pd.DataFrame:
    return table[table["strategy"] == name].pivot(index="user", columns="seed", values=column)


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_those_that_pandas_finds(table: pd.DataFrame, found: dict[str, Any], name: str) -> None:
    expected = {
        "auc_user_mean": over_seeds(table, name, lambda rows: rows["auc"].mean()),
        "gauc_impressions": over_seeds(table, name, weighted("auc")),
        "users_covered": 32,
        "log_loss": over_seeds(table, name, weighted("log_loss")),
        "calibration": over_seeds(table, name, lambda rows: rows["predicted_clicks"].sum() / rows["positives"].sum()),
        "ndcg_at_10": over_seeds(table, name, lambda rows: rows["ndcg_at_10"].mean()),
        "diverged": 0,
    }
    assert {key: found[name][key] for key in expected} == pytest.approx(expected, rel=1e-12)


def test_the_share_harmed_is_that_of_users_who_lose_auc(table: pd.DataFrame, found: dict[str, Any]) -> None:
    lost = wide(table, "pairwise", "auc") < wide(table, "no-fine-tuning", "auc")
    assert found["pairwise"]["share_harmed"] == pytest.approx(lost.sum().sum() / (2 * 32))


@pytest.mark.parametrize(("key", "baseline"), [("vs_no_fine_tuning", NAMES[0]), ("vs_fine_tuning", NAMES[1])])
def test_differences_are_paired_by_user_and_seed(
    table: pd.DataFrame, found: dict[str, Any], key: str, baseline: str
) -> None:
    compared = found["pairwise"][key]
    differences = wide(table, "pairwise", "auc") - wide(table, baseline, "auc")
    interval = paired_difference(differences.to_numpy(), comparisons=3)  # of 3 strategies, all pairs with a baseline
    for limit in ("mean", "low", "high", "corrected_low", "corrected_high"):
        assert compared[limit] == getattr(interval, limit)
    assert compared["mean"] == pytest.approx(differences.stack().mean())
    assert compared["mean"] == pytest.approx(found["pairwise"]["auc_user_mean"] - found[baseline]["auc_user_mean"])
    assert compared["corrected_low"] < compared["low"] < compared["mean"] < compared["high"]
    assert (compared["users"], compared["seeds"]) == (32, 2)
    gauc = found["pairwise"]["gauc_impressions"] - found[baseline]["gauc_impressions"]
    assert compared["gauc_impressions_difference"]["mean"] == pytest.approx(gauc)
    samples = wide(table, "pairwise", "samples")[0].to_numpy(dtype=float)
    weighted = paired_difference(differences.to_numpy(), comparisons=3, weights=samples)
    assert compared["gauc_impressions_difference"] == asdict(weighted)
    gain = differences.mean(axis=1) * wide(table, "pairwise", "samples")[0]
    largest = (gain / gain.sum()).dropna()
    assert compared["gauc_largest_share"] == pytest.approx(largest.max())


def test_users_are_also_compared_by_drift_and_by_samples(table: pd.DataFrame, found: dict[str, Any]) -> None:
    compared = found["pairwise"]["vs_fine_tuning"]
    differences = wide(table, "pairwise", "auc") - wide(table, "fine-tuning", "auc")
    drift = (wide(table, "pairwise", "local_ctr")[0] - GLOBAL_CTR).abs()
    samples = wide(table, "pairwise", "local_samples")[0]
    drifts = {"0-0.05": drift < 0.05, "0.05-0.1": (drift >= 0.05) & (drift < 0.1),
              "0.1-0.2": (drift >= 0.1) & (drift < 0.2), "0.2-1": drift >= 0.2}  # fmt: skip
    counts = {"<20": samples < 20, "20-49": samples.between(20, 49), "50-99": samples.between(50, 99),
              "100-199": samples.between(100, 199), ">=200": samples >= 200}  # fmt: skip
    for buckets, inside in ((compared["by_drift"], drifts), (compared["by_local_samples"], counts)):
        assert list(buckets) == list(inside)
        for name, bucket in buckets.items():
            here = differences[inside[name]].dropna()
            if not len(here):
                assert bucket is None
            else:
                assert bucket["users"] == len(here)
                assert bucket["mean"] == pytest.approx(here.stack().mean())
        assert sum(bucket["users"] for bucket in buckets.values() if bucket) == 32


@pytest.mark.parametrize(("key", "baseline"), [("vs_no_fine_tuning", NAMES[0]), ("vs_fine_tuning", NAMES[1])])
def test_a_baseline_compared_with_itself_differs_by_exactly_nothing(
    found: dict[str, Any], key: str, baseline: str
) -> None:
    itself = found[baseline][key]
    assert [itself[limit] for limit in ("mean", "low", "high", "corrected_low", "corrected_high")] == [0.0] * 5
    assert itself["gauc_impressions_difference"] == asdict(Interval(0.0, 0.0, 0.0, 0.0, 0.0, users=32, seeds=2))
    assert np.isnan(itself["gauc_largest_share"])
    assert all(
        bucket["mean"] == bucket["low"] == bucket["high"] == 0.0
        for bucket in itself["by_drift"].values()
        if bucket["users"] > 1
    )


def test_comparing_both_ways_round_gives_the_opposite(found: dict[str, Any]) -> None:
    there, back = found["fine-tuning"]["vs_no_fine_tuning"], found["no-fine-tuning"]["vs_fine_tuning"]
    assert there["mean"] == -back["mean"]
    assert (there["low"], there["high"]) == pytest.approx((-back["high"], -back["low"]))


@pytest.mark.parametrize("present", [["pairwise"], ["no-fine-tuning", "pairwise"], ["pairwise", "fine-tuning"]])
def test_a_comparison_with_an_absent_baseline_is_none(table: pd.DataFrame, present: list[str]) -> None:
    entry = compare(table, present, GLOBAL_CTR)["pairwise"]
    assert (entry["vs_no_fine_tuning"] is None) == ("no-fine-tuning" not in present)
    assert (entry["vs_fine_tuning"] is None) == ("fine-tuning" not in present)
    assert (entry["share_harmed"] is None) == ("no-fine-tuning" not in present)


def test_fewer_comparisons_are_corrected_less(table: pd.DataFrame, found: dict[str, Any]) -> None:
    alone = compare(table, ["no-fine-tuning", "pairwise"], GLOBAL_CTR)["pairwise"]["vs_no_fine_tuning"]
    assert alone["corrected_low"] == alone["low"] > found["pairwise"]["vs_no_fine_tuning"]["corrected_low"]


def test_models_that_diverged_are_counted(table: pd.DataFrame) -> None:
    broken = table.copy()
    broken.loc[(broken["user"] == "u1") & (broken["strategy"] == "pairwise") & (broken["seed"] == 1), "diverged"] = True
    assert [entry["diverged"] for entry in compare(broken, NAMES, GLOBAL_CTR).values()] == [0, 0, 1]


@pytest.mark.parametrize("column", ["log_loss", "ndcg_at_10"])
def test_log_loss_and_ndcg_are_paired_too(table: pd.DataFrame, found: dict[str, Any], column: str) -> None:
    key = {"log_loss": "log_loss_user_mean_difference", "ndcg_at_10": "ndcg_at_10_difference"}[column]
    difference = (wide(table, "pairwise", column) - wide(table, "fine-tuning", column)).to_numpy()
    interval = paired_difference(difference)
    assert found["pairwise"]["vs_fine_tuning"][key] == {
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "users": interval.users,
    }
