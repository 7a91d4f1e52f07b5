"""What was published by rounds beside the cloud's model."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fedctr.cloud import CloudTraining, publish
from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, split
from fedctr.features import Features
from fedctr.federated import beside_cloud, server
from fedctr.federated.beside_cloud import BesideCloud
from fedctr.federated.settings import Training
from fedctr.federated.training import train
from fedctr.published import Published
from tests.application import DATASET

pytestmark = pytest.mark.usefixtures("small_cache")

TRAINING = Training(dataset=DATASET, model="lr", rounds=3, seeds=1, partitions=1, backend="inline", learning_rate=1.0)


def test_both_are_scored_on_all_test_samples_once_the_rounds_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = train(TRAINING.model_copy(update={"out": tmp_path})).rounds
    assert not (tmp_path / "beside-cloud.json").exists()
    monkeypatch.setattr(server, "find_clients", lambda *all: pytest.fail("asked the clients again"))
    (found,) = train(TRAINING.model_copy(update={"out": tmp_path, "beside_cloud": True})).beside_cloud
    assert json.loads((tmp_path / "beside-cloud.json").read_text()) == [asdict(found)]

    dataset = open_dataset(DATASET)
    parts = split(dataset, Fractions())
    features = Features(dataset, parts, range(dataset.users), 0)
    cloud, _ = publish("lr", dataset, Fractions(), CloudTraining(), 0, lambda epoch, loss: None)
    federated, _ = Published.load(tmp_path / "published/seed-0")
    for (begin, end), scored in (
        (parts.bounds("validation"), ("validation_auc", "cloud_validation_auc")),
        (parts.bounds("test"), ("test_auc", "cloud_test_auc")),
    ):
        rows = np.concatenate([np.arange(a, b) for a, b in zip(begin, end, strict=True)])
        owner = np.repeat(np.arange(dataset.users), end - begin)
        for published, name in zip((federated, cloud), scored, strict=True):
            with torch.no_grad():
                logits = published.model(features.batch(rows[None], owner[None]))[0].numpy()
            assert getattr(found, name) == pytest.approx(roc_auc_score(dataset.label[rows], logits), abs=1e-9)
    assert found.round == int(rounds["log_loss"].iloc[1:].argmin()) + 1
    assert found.validation_auc == rounds["auc"][found.round]


@pytest.mark.parametrize(("margin", "near"), [(1.0, 1), (-1.0, None)])
def test_near_is_the_first_round_that_is_not_far_below_the_cloud(
    margin: float, near: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside_cloud, "NEAR", margin)
    (found,) = train(TRAINING.model_copy(update={"out": tmp_path, "beside_cloud": True})).beside_cloud
    assert found.near == near


def test_it_is_told_in_a_line() -> None:
    near = BesideCloud(2, 14, 0.697, 0.7047, 0.7269, 0.7318, near=9)
    assert str(near) == (
        "seed 2: test AUC 0.7269, trained in the cloud 0.7318, difference -0.0049; on validation within 0.01 of the "
        "cloud after 9 rounds"
    )
    assert str(replace(near, near=None)).endswith("on validation within 0.01 of the cloud in no round")
