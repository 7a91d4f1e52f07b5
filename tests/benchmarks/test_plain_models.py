"""``experiments/benchmarks/plain_models.py`` and what goes with it: the same models, and the same fine-tuning."""

from pathlib import Path

import numpy as np
import plain
import pytest
import torch
import workload
from operations import FORWARD
from plain_models import MODELS, published_model
from work import Work

from fedctr import loop
from fedctr.features import Features
from fedctr.models.model import models
from fedctr.recipe import Recipe
from fedctr.registry import parse
from strategies.fine_tuning import FineTuning
from tests.engine import cut, publish, world

pytestmark = pytest.mark.usefixtures("one_thread")

TRAIN, TEST = [40, 3, 1], [9, 12, 5]
SPECS = (
    "ncf[hidden=[8,4]]",
    "wide-deep[hidden=[8,4]]",
    "deepfm[hidden=[8,4]]",
    "fm",
    "pnn[hidden=[8,4]]",
    "dcn-v2[hidden=[8,4]]",
    "autoint[heads=4,head=3]",
    "din",
    "dien",
    "lr",
)
RECIPE = Recipe(workload.SEED, workload.LEARNING_RATE, workload.EPOCHS, workload.BATCH_SIZE)


def test_every_model_of_fedctr_is_here() -> None:
    names = set(models.classes())
    assert names == set(workload.MODELS) == set(MODELS) == set(FORWARD) == {parse(spec).name for spec in SPECS}


@pytest.mark.parametrize("spec", SPECS)
def test_logits_are_those_of_fedctr_before_and_after_fine_tuning(spec: str, tmp_path: Path) -> None:
    dataset = world([a + b for a, b in zip(TRAIN, TEST, strict=True)])
    parts, published = cut(dataset, TRAIN), publish(spec, dataset.schema)
    workload.write_work(tmp_path, dataset, parts, published.model)
    work = Work.read(tmp_path)
    features = Features(dataset, parts, range(dataset.users), published.model.history_length)
    for user in range(dataset.users):
        model, (*given, labels) = published_model(work), plain.test_batch(work, user)
        before = model(*given).detach()
        np.testing.assert_allclose(before, loop.score(published.model, features, user, "test"), rtol=1e-5, atol=1e-5)
        plain.fine_tune(
            model, torch.optim.SGD(model.parameters(), lr=work.learning_rate), plain.training_batches(work, user)
        )
        after = model(*given).detach()
        (tuned,) = loop.fine_tune(published, FineTuning(), features, user, RECIPE)
        np.testing.assert_allclose(after, loop.score(tuned, features, user, "test"), rtol=1e-5, atol=1e-5)
        assert (before - after).abs().max() > 1e-3
        assert len(labels) == TEST[user]
