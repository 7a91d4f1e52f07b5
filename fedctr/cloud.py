"""The cloud: trains the global model on everybody's training samples and keeps it in the cache."""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import StrictFloat, StrictInt

from fedctr import metrics
from fedctr.data.cache import cache_folder, store
from fedctr.data.dataset import Dataset, Schema
from fedctr.data.split import Part, Split, SplitRule, split
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.fingerprint import fingerprint
from fedctr.models.model import Model, models
from fedctr.published import Published
from fedctr.randomness import permutations
from fedctr.registry import parse
from fedctr.threads import single_thread

VERSION = 6  # raise it when the same settings train another model


@dataclass(frozen=True)
class CloudTraining:
    """Adam with early stopping on the log loss of the validation parts.

    Attributes:
        learning_rate: Adam's step size.
        weight_decay: L2 penalty on all parameters.
        batch_size: samples in a step.
        epochs: passes over the training samples at most.
        patience: epochs without a better validation log loss after which training stops.
    """

    learning_rate: StrictFloat = 0.001
    weight_decay: StrictFloat = 1e-5
    batch_size: StrictInt = 256
    epochs: StrictInt = 100
    patience: StrictInt = 3

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate {self.learning_rate} must be a number above 0")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay {self.weight_decay} must be a number of at least 0")
        for name in ("batch_size", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")


Progress = Callable[[int, float], None]


def publish(
    spec: str, dataset: Dataset, rule: SplitRule, training: CloudTraining, seed: int, progress: Progress
) -> tuple[Published, dict[str, Any]]:
    """The trained global model, from the cache if it was trained before.

    Args:
        spec: the model, such as ``din[embedding=16]``.
        dataset: all samples.
        rule: how they are split; validation serves early stopping, test is not touched.
        training: hyperparameters.
        seed: of the initial parameters and of every shuffle.
        progress: called after each epoch with its number and validation log loss.

    Returns:
        What the server publishes, and facts on the training for the run folder.

    Raises:
        FedctrError: when the training part holds one class only, training diverges, or the cache cannot be written.
    """
    name = parse(spec).name
    key = {
        "version": VERSION,
        "code": fingerprint(models.find(name)),
        "torch": torch.__version__,
        "dataset": dataset.content_hash,
        "model": spec,
        "seed": seed,
        **asdict(rule),
        **asdict(training),
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]
    folder = cache_folder() / "published" / f"{name.replace(':', '.')}-{digest}"
    if not folder.is_dir():
        with single_thread():
            published, facts = train(spec, dataset, split(dataset, rule), training, seed, progress)
        facts = {"seed": seed, "training": asdict(training), **facts}
        store(folder, lambda fresh: published.save(fresh, facts))
    return Published.load(folder)


def train(
    spec: str, dataset: Dataset, parts: Split, training: CloudTraining, seed: int, progress: Progress
) -> tuple[Published, dict[str, Any]]:
    """Train the global model on the training parts, until the validation parts say to stop.

    Args, returns, raises: as for :func:`publish`, but for the cache; PyTorch should compute on one thread.
    """
    model = initial_model(spec, dataset.schema, seed)
    features = Features(dataset, parts, range(dataset.users), model.history_length)
    owner = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))
    train = parts.rows("train")
    labels = torch.from_numpy(dataset.label.astype(np.float32))
    global_ctr = checked_global_ctr(dataset, parts)

    optimiser = torch.optim.Adam(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    best, best_state, best_epoch, curve = float("inf"), model.state_dict(), 0, []
    for epoch in range(1, training.epochs + 1):
        model.train()
        whole = np.ones((1, len(train)), dtype=bool)
        order = permutations(seed, f"cloud {epoch}", np.array([0]), whole)[0]
        for first in range(0, len(order), training.batch_size):
            rows = train[order[first : first + training.batch_size]]
            logits = model(features.batch(rows[None], owner[rows][None]))[0]
            loss = F.binary_cross_entropy_with_logits(logits, labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found = evaluate(model, features, "validation")
        if found is None:
            raise FedctrError(f"model {spec}: training diverged in epoch {epoch}; lower cloud.learning_rate")
        curve.append(found)
        progress(epoch, found["log_loss"])
        if found["log_loss"] < best:
            best, best_epoch, best_state = found["log_loss"], epoch, copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= training.patience:
            break
    model.load_state_dict(best_state)
    return Published(spec, dataset.schema, model, global_ctr), {"best_epoch": best_epoch, "validation": curve}


def initial_model(spec: str, schema: Schema, seed: int) -> Model:
    """The untrained model of a seed; leaves PyTorch's own stream of random numbers as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.create(spec, schema)


def checked_global_ctr(dataset: Dataset, parts: Split) -> float:
    """The share of positives in all training samples.

    Raises:
        FedctrError: when no model can be trained, because these are of one class, or nothing is there to validate it.
    """
    train = parts.rows("train")
    global_ctr = float(dataset.label[train].mean(dtype=np.float64)) if len(train) else 0.0
    if global_ctr in (0.0, 1.0):
        raise FedctrError(
            f"data set {dataset.name}: the {len(train):,} training samples hold one class only; "
            "a model needs positives and negatives"
        )
    if not len(parts.rows("validation")):
        raise FedctrError(
            f"data set {dataset.name}: no user has a sample in the validation part, which training needs to know when "
            "to stop; raise split.validation"
        )
    return global_ctr


@torch.no_grad()
def evaluate(model: Model, features: Features, part: Part) -> dict[str, float] | None:
    """Log loss and AUC of all samples of a part together, as ``log_loss`` and ``auc``; None if a logit is not finite.

    Args:
        model: with shared parameters.
        features: of all users.
        part: which samples.
    """
    model.eval()
    rows = features.split.rows(part)
    owner = np.repeat(np.arange(features.dataset.users), np.diff(features.dataset.offsets))
    logits = np.concatenate(
        [
            model(features.batch(chunk[None], owner[chunk][None]))[0].numpy()
            for chunk in np.split(rows, range(8192, len(rows), 8192))
        ]
    )
    labels = features.dataset.label[rows].astype(np.float64)
    if not np.isfinite(logits).all():
        return None
    exact = logits.astype(np.float64)
    return {
        "log_loss": float(np.mean(np.logaddexp(0, exact) - labels * exact)),
        "auc": metrics.auc(logits, features.dataset.label[rows]),
    }
