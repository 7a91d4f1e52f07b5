import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from fedctr.benchmark import bench
from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, split
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.published import Published
from fedctr.summary import Result
from tests.application import DATASET, experiment

pytestmark = pytest.mark.usefixtures("small_cache")


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
    features = Features(dataset, parts, range(50), published.model.history_length)
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
