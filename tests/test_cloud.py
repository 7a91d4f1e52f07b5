from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from fedctr.cloud import CloudTraining, publish
from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.split import Days, Fractions, Part, split
from fedctr.data.synthetic import Synthetic
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.published import Published

SMALL = Synthetic(users=60, items=40, samples_per_user=30).read(None, Reading())
QUICK = CloudTraining(learning_rate=0.01, epochs=2)
Train = Callable[..., tuple[Published, dict[str, Any]]]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Publish with an empty cache; any argument may be changed."""
    monkeypatch.setenv("FEDCTR_CACHE", str(tmp_path / "cache"))

    def run(**changes: Any) -> tuple[Published, dict[str, Any]]:
        arguments: dict[str, Any] = {
            "spec": "lr",
            "dataset": SMALL,
            "rule": Fractions(),
            "training": QUICK,
            "seed": 0,
            "progress": lambda epoch, loss: None,
        }
        return publish(**arguments | changes)

    return run


def folders(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache" / "published").iterdir()}


def rows_of(dataset: Dataset, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a part and the users whose they are."""
    starts, stops = split(dataset, Fractions()).bounds(part)
    ranges = [np.arange(a, b) for a, b in zip(starts, stops, strict=True)]
    return np.concatenate(ranges), np.repeat(np.arange(dataset.users), [len(rows) for rows in ranges])


def scored(published: Published, dataset: Dataset, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a part."""
    rows, owner = rows_of(dataset, part)
    length = published.model.history_length
    features = Features(dataset, split(dataset, Fractions()), range(dataset.users), length)
    with torch.no_grad():
        logits = published.model(features.batch(rows[None], owner[None]))[0].double()
    return dataset.label[rows], logits.sigmoid().numpy()


def same_weights(first: Published, second: Published) -> bool:
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


# -------------------------------------------------------------------------------------------- the model


@pytest.mark.parametrize(
    "spec",
    [
        "lr",
        "din[history=5]",
        "wide-deep[hidden=[16],history=5]",
        "fm[history=5]",
        "deepfm[hidden=[16],history=5]",
        "pnn[hidden=[16],history=5]",
        "dcn-v2[hidden=[16],history=5]",
        "autoint[history=5]",
        "dien[history=5]",
    ],
)
def test_a_seed_determines_the_model(spec: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = train(spec=spec)
    torch.manual_seed(99)  # what others draw does not matter
    monkeypatch.setenv("FEDCTR_CACHE", str(tmp_path / "another"))
    again, _ = train(spec=spec)
    other, _ = train(spec=spec, seed=1)
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_the_global_ctr_is_that_of_the_training_samples_alone(train: Train) -> None:
    published, _ = train()
    rows, _ = rows_of(SMALL, "train")
    assert published.global_ctr == pytest.approx(float(np.mean(SMALL.label[rows])), rel=1e-12)
    assert published.global_ctr != pytest.approx(float(np.mean(SMALL.label)), rel=1e-6)


@pytest.mark.parametrize("spec", ["lr", "din[history=5]"])
def test_no_test_label_is_read(spec: str, train: Train) -> None:
    rows, _ = rows_of(SMALL, "test")
    label = SMALL.label.copy()
    label[rows] = 1 - label[rows]
    first, facts = train(spec=spec)
    other, others = train(spec=spec, dataset=replace(SMALL, label=label))
    assert same_weights(first, other)
    assert first.global_ctr == other.global_ctr
    assert facts["validation"] == others["validation"]


def test_it_learns_tastes_that_the_test_part_confirms(train: Train) -> None:
    dataset = Synthetic(users=400, items=100, samples_per_user=40).read(None, Reading())
    published, _ = train(spec="din[history=10]", dataset=dataset, training=CloudTraining(learning_rate=0.01, epochs=4))
    labels, probabilities = scored(published, dataset, "test")
    assert roc_auc_score(labels, probabilities) > 0.6
    constant = np.full(len(labels), published.global_ctr)
    assert log_loss(labels, probabilities) < log_loss(labels, constant) - 0.005


# -------------------------------------------------------------------------------------- early stopping


def test_the_best_epoch_is_kept_and_patience_ends_training(train: Train) -> None:
    told: list[tuple[int, float]] = []
    training = CloudTraining(learning_rate=0.1, weight_decay=0.0, batch_size=32, epochs=30, patience=2)
    published, facts = train(
        spec="wide-deep[history=5]", training=training, progress=lambda epoch, loss: told.append((epoch, loss))
    )
    losses = [found["log_loss"] for found in facts["validation"]]
    assert told == list(enumerate(losses, start=1))
    assert facts["best_epoch"] == int(np.argmin(losses)) + 1
    assert len(losses) == facts["best_epoch"] + 2 < 30
    labels, probabilities = scored(published, SMALL, "validation")
    assert log_loss(labels, probabilities) == pytest.approx(min(losses), abs=1e-6)
    best = facts["validation"][facts["best_epoch"] - 1]
    assert roc_auc_score(labels, probabilities) == pytest.approx(best["auc"], abs=1e-3)


def test_training_ends_with_the_last_epoch(train: Train) -> None:
    _, facts = train(training=replace(QUICK, learning_rate=1e-4, epochs=3))
    assert len(facts["validation"]) == facts["best_epoch"] == 3


# --------------------------------------------------------------------------------------------- the cache


def test_a_second_time_nothing_is_trained(train: Train, tmp_path: Path) -> None:
    epochs: list[int] = []

    def progress(epoch: int, loss: float) -> None:
        epochs.append(epoch)

    first, facts = train(progress=progress)
    assert epochs == [1, 2]
    again, cached = train(progress=progress)
    assert epochs == [1, 2]
    assert same_weights(first, again)
    assert facts == cached
    assert len(folders(tmp_path)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"spec": "lr[user_id=true]"},
        {"spec": "wide-deep[hidden=[4],history=2]"},
        {"rule": Fractions(test=0.3)},
        {"rule": Fractions(window="earlier")},
        {"rule": Days(test=3)},
        {"rule": Days(test=3, hours_from_utc=8)},
        {"training": replace(QUICK, learning_rate=0.02)},
        {"training": replace(QUICK, epochs=1)},
        {"dataset": replace(SMALL, label=1 - SMALL.label)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_matters_is_part_of_the_key(change: dict[str, Any], train: Train, tmp_path: Path) -> None:
    train()
    epochs: list[int] = []
    train(**change, progress=lambda epoch, loss: epochs.append(epoch))
    assert epochs
    assert len(folders(tmp_path)) == 2


def test_a_damaged_cache_is_named(train: Train, tmp_path: Path) -> None:
    train()
    (folder,) = (tmp_path / "cache" / "published").iterdir()
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(FedctrError, match=f"{folder}: not a published model .*delete the folder"):
        train()


def test_what_fails_leaves_nothing_in_the_cache(train: Train, tmp_path: Path) -> None:
    def stop(epoch: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(progress=stop)
    assert not (tmp_path / "cache").exists() or not folders(tmp_path)
    assert train()[1]["best_epoch"] >= 1


# -------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("label", [0, 1])
def test_a_training_part_of_one_class_is_refused(label: int, train: Train) -> None:
    rows, _ = rows_of(SMALL, "train")
    labels = SMALL.label.copy()
    labels[rows] = label
    with pytest.raises(
        FedctrError, match=f"data set synthetic: the {len(rows):,} training samples hold one class only"
    ):
        train(dataset=replace(SMALL, label=labels))


def test_a_data_set_without_validation_samples_is_refused(train: Train) -> None:
    # Two samples to a user: nothing is left for validation.
    kept = (SMALL.offsets[:-1, None] + np.arange(2)).ravel()
    few = replace(
        SMALL,
        offsets=np.arange(SMALL.users + 1) * 2,
        item=SMALL.item[kept],
        label=SMALL.label[kept],
        time=SMALL.time[kept],
    )
    with pytest.raises(FedctrError, match="data set synthetic: no user has a sample in the validation part"):
        train(dataset=few)


def test_divergence_is_one_clear_line(train: Train) -> None:
    with pytest.raises(FedctrError, match=r"model wide-deep\[.*\]: training diverged in epoch 1"):
        train(spec="wide-deep[hidden=[8],history=2]", training=replace(QUICK, learning_rate=1e30))
