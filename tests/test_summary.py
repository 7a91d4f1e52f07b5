import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from fedctr.benchmark import bench
from fedctr.data.cache import open_dataset
from fedctr.data.features import Features
from fedctr.data.split import Fractions, split
from fedctr.errors import FedctrError
from fedctr.published import Published
from fedctr.statistics import paired_difference
from fedctr.summary import Result, summarise
from tests.application import DATASET, experiment

pytestmark = pytest.mark.usefixtures("small_cache")

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
    return summarise(table, NAMES, GLOBAL_CTR)


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
    assert compared["gauc_impressions_difference"] == pytest.approx(gauc)
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
    assert itself["gauc_impressions_difference"] == 0.0
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
    entry = summarise(table, present, GLOBAL_CTR)["pairwise"]
    assert (entry["vs_no_fine_tuning"] is None) == ("no-fine-tuning" not in present)
    assert (entry["vs_fine_tuning"] is None) == ("fine-tuning" not in present)
    assert (entry["share_harmed"] is None) == ("no-fine-tuning" not in present)


def test_fewer_comparisons_are_corrected_less(table: pd.DataFrame, found: dict[str, Any]) -> None:
    alone = summarise(table, ["no-fine-tuning", "pairwise"], GLOBAL_CTR)["pairwise"]["vs_no_fine_tuning"]
    assert alone["corrected_low"] == alone["low"] > found["pairwise"]["vs_no_fine_tuning"]["corrected_low"]


def test_a_user_who_diverged_in_one_seed_is_counted_and_not_compared(table: pd.DataFrame) -> None:
    broken = table.copy()
    where = (broken["user"] == "u1") & (broken["strategy"] == "pairwise") & (broken["seed"] == 1)
    broken.loc[where, ["auc", "log_loss", "ndcg_at_10", "predicted_clicks"]] = NAN
    broken.loc[where, "diverged"] = True
    entry = summarise(broken, NAMES, GLOBAL_CTR)["pairwise"]
    assert entry["diverged"] == 1
    assert entry["vs_fine_tuning"]["users"] == 31


# ---------------------------------------------------------------------------------------- of a real run


def test_a_summary_has_what_scripts_read(reference: Result) -> None:
    summary = reference.summary
    assert (summary["dataset"], summary["users"], summary["seeds"]) == (DATASET, 50, 2)
    assert summary["model"].startswith("din[")
    assert 0 < summary["global_ctr"] < 1
    assert summary["failures"] == []
    assert summary["versions"].keys() >= {"fedctr", "flwr", "ray", "torch", "python"}
    assert list(summary["strategies"]) == ["no-fine-tuning", "fine-tuning", "label-correction[variant=shift]"]
    for entry in summary["strategies"].values():
        assert entry.keys() >= {"auc_user_mean", "gauc_impressions", "users_covered", "learning_rate", "epochs"}
        for key in ("vs_no_fine_tuning", "vs_fine_tuning"):
            assert entry[key].keys() >= {"mean", "low", "high"}


def test_the_user_table_has_what_scripts_read(reference: Result) -> None:
    users = reference.users
    required = ["user", "strategy", "seed", "split", "samples", "positives", "local_ctr", "auc", "log_loss"]
    assert set(required) <= set(users.columns)
    rows = users.groupby(["strategy", "split", "seed"]).size()
    tuned = {(name, "validation", seed): 50 for name in list(reference.summary["strategies"])[1:] for seed in (0, 1)}
    test = {(name, "test", seed): 50 for name in reference.summary["strategies"] for seed in (0, 1)}
    assert rows.to_dict() == tuned | test


def test_the_user_table_describes_the_data(reference: Result) -> None:
    dataset = open_dataset(DATASET)
    parts = split(dataset, Fractions())
    ids = dataset.user_ids.to_pylist()
    rows = reference.users.query("strategy == 'fine-tuning' and split == 'test' and seed == 1").set_index("user")
    for user in (0, 17, 49):
        (a, b), (c, d) = ((bound[user] for bound in parts.bounds(part)) for part in ("train", "test"))
        row, train, test = rows.loc[ids[user]], dataset.label[a:b], dataset.label[c:d]
        assert (row["samples"], row["positives"]) == (len(test), test.sum())
        assert (row["local_samples"], row["local_positives"]) == (len(train), train.sum())
        assert row["local_ctr"] == train.mean()
    train_rows = np.concatenate([np.arange(a, b) for a, b in zip(*parts.bounds("train"), strict=True)])
    assert reference.summary["global_ctr"] == pytest.approx(dataset.label[train_rows].mean(), rel=1e-12)


def test_the_published_model_scores_as_scikit_learn_says(reference: Result) -> None:
    """From the published weights and the plain model to the metrics of no fine-tuning, user by user."""
    dataset = open_dataset(DATASET)
    parts = split(dataset, Fractions())
    published, _ = Published.load(reference.folder / "published" / "seed-1")
    features = Features.build(dataset, parts, range(50), published.model.history_length)
    rows = reference.users.query("strategy == 'no-fine-tuning' and seed == 1").set_index("user")
    checked = 0
    for user, (first, stop) in enumerate(zip(*parts.bounds("test"), strict=True)):
        samples = np.arange(first, stop)
        with torch.no_grad():
            logits = published.model(features.batch(samples[None], np.full((1, len(samples)), user)))[0].numpy()
        labels, probabilities = dataset.label[first:stop], 1 / (1 + np.exp(-logits.astype(np.float64)))
        row = rows.loc[dataset.user_ids[user].as_py()]
        assert row["log_loss"] == pytest.approx(log_loss(labels, probabilities, labels=[0, 1]), rel=1e-5)
        assert row["predicted_clicks"] == pytest.approx(probabilities.sum(), rel=1e-5)
        if 0 < labels.sum() < len(labels):
            assert row["auc"] == pytest.approx(roc_auc_score(labels, logits), abs=1e-9)
            assert row["ndcg_at_10"] == pytest.approx(ndcg_score([labels], [logits], k=10), abs=1e-9)
            checked += 1
        else:
            assert np.isnan(row["auc"])
    assert checked == reference.summary["strategies"]["no-fine-tuning"]["users_covered"] > 20


def test_the_chosen_trial_is_the_best_on_validation(reference: Result) -> None:
    assert reference.summary["strategies"]["no-fine-tuning"]["learning_rate"] is None
    for name in ("fine-tuning", "label-correction[variant=shift]"):
        entry = reference.summary["strategies"][name]
        curve = {(trial["learning_rate"], trial["epochs"]): trial["auc_user_mean"] for trial in entry["validation"]}
        assert list(curve) == [(0.03, 1), (0.03, 2), (0.3, 1), (0.3, 2)]
        assert curve[entry["learning_rate"], entry["epochs"]] == max(curve.values())
        rows = reference.users[reference.users["strategy"] == name]
        assert rows[["learning_rate", "epochs"]].drop_duplicates().values.tolist() == [
            [entry["learning_rate"], entry["epochs"]]
        ]


def test_what_cannot_be_computed_is_null_in_valid_json(tmp_path: Path) -> None:
    """Ten samples a user leave one for validation and two for test; with two users none has both classes."""
    few = experiment(
        tmp_path / "run",
        dataset="synthetic[users=2,samples_per_user=10,ctr=0.1,seed=2]",
        model="lr",
        learning_rates=(0.1,),
        epochs=(1,),
        seeds=1,
    )
    result = bench(few)
    text = (tmp_path / "run" / "summary.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    summary = json.loads(text, parse_constant=refuse)
    assert summary == result.summary
    entry = summary["strategies"]["fine-tuning"]
    assert (entry["users_covered"], entry["auc_user_mean"], entry["gauc_impressions"]) == (0, None, None)
    assert entry["vs_no_fine_tuning"]["mean"] is None
    assert "0 of 2 users have both classes in test" in " ".join(result.table().split())


def test_nothing_is_chosen_where_validation_cannot_tell(tmp_path: Path) -> None:
    few: dict[str, Any] = {"dataset": "synthetic[users=2,samples_per_user=10]", "model": "lr", "seeds": 1}
    with pytest.raises(FedctrError, match="no user has both classes in validation, so nothing can be chosen there"):
        bench(experiment(tmp_path / "run", **few))
