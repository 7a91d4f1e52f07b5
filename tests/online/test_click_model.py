from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.split import Fractions, Split, split
from fedctr.data.synthetic import Synthetic
from fedctr.online.click_model import ClickModel

LOG = "synthetic[users=300,items=60,samples_per_user=60,drift=1.5,taste=0.5]"


@pytest.fixture(scope="module")
def log(shared_cache: Path) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDCTR_CACHE", str(shared_cache))
        return open_dataset(LOG)


@pytest.fixture(scope="module")
def parts(log: Dataset) -> Split:
    return split(log, Fractions())


@pytest.fixture(scope="module")
def fitted(log: Dataset, parts: Split, shared_cache: Path) -> ClickModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDCTR_CACHE", str(shared_cache))
        return ClickModel.fitted(log, parts, factors=2, seed=0)


def test_the_fit_is_measured_on_samples_that_were_not_fitted(log: Dataset, parts: Split, fitted: ClickModel) -> None:
    starts, stops = parts.bounds("test")
    owner = np.repeat(np.arange(log.users), stops - starts)
    rows = np.concatenate([np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)])
    item, labels = log.item[rows], log.label[rows]
    taste = (fitted.taste[owner] * fitted.factors[item]).sum(1)
    chances = 1 / (1 + np.exp(-(fitted.intercept[owner] + fitted.appeal[item] + taste)))
    assert fitted.fit["samples"] == len(rows)
    assert fitted.fit["auc"] == pytest.approx(roc_auc_score(labels, chances), abs=1e-6)
    assert fitted.fit["log_loss"] == pytest.approx(log_loss(labels, chances), abs=1e-6)
    assert fitted.fit["log_loss_of_ctr"] == pytest.approx(log_loss(labels, np.full(len(rows), labels.mean())))
    assert fitted.fit["calibration"] == pytest.approx(chances.sum() / labels.sum(), abs=1e-6)


def test_it_finds_what_the_labels_were_drawn_from(log: Dataset, fitted: ClickModel) -> None:
    truth = Synthetic(users=300, items=60, samples_per_user=60, drift=1.5, taste=0.5).truth()
    assert np.corrcoef(fitted.intercept, truth.intercept)[0, 1] > 0.9
    assert fitted.fit["log_loss"] < 0.9 * fitted.fit["log_loss_of_ctr"]
    assert 0.9 < fitted.fit["calibration"] < 1.1


def test_it_is_fitted_once(
    log: Dataset, parts: Split, fitted: ClickModel, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDCTR_CACHE", str(shared_cache))
    monkeypatch.setattr("fedctr.online.click_model._fit", None)
    again = ClickModel.fitted(log, parts, factors=2, seed=0)
    assert np.array_equal(again.taste, fitted.taste)
    assert again.fit == fitted.fit
