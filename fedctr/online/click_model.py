"""A click model fitted to a log: logistic matrix factorisation, which no arm may use.

C. C. Johnson: Logistic Matrix Factorization for Implicit Feedback Data, NIPS 2014 workshop; here the negatives are the
log's own.
"""

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fedctr import metrics
from fedctr.cloud import checked_global_ctr
from fedctr.data.cache import cache_folder, store
from fedctr.data.dataset import Dataset
from fedctr.data.split import Part, Split
from fedctr.randomness import permutations
from fedctr.threads import single_thread

VERSION = 1  # raise it when the same log gives another model
PULL = 0.03  # on the squares of a sample's weights; of 0.003 to 0.2 the best on validation of MovieLens-100K
LEARNING_RATE = 0.01
EPOCHS, PATIENCE = 200, 5
STEPS = 50  # of an epoch

Floats = npt.NDArray[np.float64]
Samples = tuple[Tensor, Tensor, Tensor]  # users, items and labels


@dataclass(frozen=True, eq=False)
class ClickModel:
    """Log-odds of a click: ``intercept(user) + appeal(item) + taste(user) * factors(item)``.

    Attributes:
        intercept: float64 (users,).
        appeal: float64 (items,).
        taste: float64 (users, factors).
        factors: float64 (items, factors).
        fit: on the test part, which was not fitted: ``samples``, ``auc``, ``log_loss``, ``log_loss_of_ctr`` (by the
            CTR of these samples alone) and ``calibration`` (predicted clicks for each observed one).
    """

    intercept: Floats
    appeal: Floats
    taste: Floats
    factors: Floats
    fit: dict[str, float]

    @classmethod
    def fitted(cls, dataset: Dataset, parts: Split, factors: int, seed: int) -> "ClickModel":
        """The model of a log, from the cache if it was fitted before.

        Args:
            dataset: the log.
            parts: training part to fit, validation part to know when to stop, test part to say how well it fits.
            factors: dimensions of a taste.
            seed: of the initial weights and of all shuffles.

        Raises:
            FedctrError: when the training part holds one class only, or the cache cannot be written.
        """
        key = {
            "version": VERSION,
            "torch": torch.__version__,
            "dataset": dataset.content_hash,
            "parts": [edges.tolist() for edges in (parts.train_end, parts.validation_end)],
            "factors": factors,
            "seed": seed,
        }
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:20]
        folder = cache_folder() / "click-models" / digest
        if not folder.is_dir():
            with single_thread():
                model = _fit(dataset, parts, factors, seed)
            store(folder, model.save)
        return cls.load(folder)

    def save(self, folder: Path) -> None:
        """Write it into an existing folder."""
        arrays = {name: getattr(self, name) for name in ("intercept", "appeal", "taste", "factors")}
        np.savez(folder / "weights.npz", **arrays)
        (folder / "fit.json").write_text(json.dumps(self.fit, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "ClickModel":
        """Read what :meth:`save` wrote."""
        with np.load(folder / "weights.npz") as arrays:
            return cls(**arrays, fit=json.loads((folder / "fit.json").read_text()))


class _Factorisation(nn.Module):
    """The model; the first column of a row is a bias, the others are a taste."""

    def __init__(self, dataset: Dataset, factors: int, ctr: float) -> None:
        super().__init__()
        self.user, self.item = (nn.Embedding(rows, 1 + factors) for rows in (dataset.users, dataset.items))
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.1)
        self.base = nn.Parameter(torch.tensor(float(np.log(ctr / (1 - ctr)))))

    def forward(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (samples,), and the squares of the weights that make them (samples,)."""
        user, item = self.user(users), self.item(items)
        logits = self.base + user[:, 0] + item[:, 0] + (user[:, 1:] * item[:, 1:]).sum(1)
        return logits, user.square().sum(1) + item.square().sum(1)


def _fit(dataset: Dataset, parts: Split, factors: int, seed: int) -> ClickModel:
    ctr = checked_global_ctr(dataset, parts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _Factorisation(dataset, factors, ctr)
    users, items, labels = _samples(dataset, parts, "train")
    validation = _samples(dataset, parts, "validation")
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    best, best_state, waited = float("inf"), model.state_dict(), 0
    whole = np.ones((1, len(labels)), dtype=bool)
    for epoch in range(1, EPOCHS + 1):
        order = torch.from_numpy(permutations(seed, f"click model {epoch}", np.array([0]), whole)[0])
        for rows in order.split(-(-len(order) // STEPS)):
            logits, squares = model(users[rows], items[rows])
            loss = F.binary_cross_entropy_with_logits(logits, labels[rows]) + PULL * squares.mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found = _measured(model, validation)["log_loss"]
        waited += 1
        if found < best:
            best, best_state, waited = found, copy.deepcopy(model.state_dict()), 0
        elif waited >= PATIENCE:
            break
    model.load_state_dict(best_state)
    user, item = (table.weight.detach().double().numpy() for table in (model.user, model.item))
    fit = _measured(model, _samples(dataset, parts, "test"))
    # What all users have in common goes to the items, so that a user without samples is an average one.
    return ClickModel(user[:, 0], item[:, 0] + model.base.item(), user[:, 1:], item[:, 1:], fit)


def _samples(dataset: Dataset, parts: Split, part: Part) -> Samples:
    """Users, items and labels of a part, (samples,) each."""
    (starts, stops), rows = parts.bounds(part), parts.rows(part)
    owner = np.repeat(np.arange(dataset.users), stops - starts)
    users, items = torch.from_numpy(owner), torch.from_numpy(dataset.item[rows].astype(np.int64))
    return users, items, torch.from_numpy(dataset.label[rows].astype(np.float32))


@torch.no_grad()
def _measured(model: nn.Module, samples: Samples) -> dict[str, Any]:
    users, items, labels = samples
    logits = model(users, items)[0].double()
    ctr = labels.double().mean()
    entropy = -(ctr * ctr.log() + (1 - ctr) * (1 - ctr).log())
    return {
        "samples": len(labels),
        "auc": metrics.auc(logits.numpy(), labels.numpy().astype(np.uint8)),
        "log_loss": float(F.binary_cross_entropy_with_logits(logits, labels.double())),
        "log_loss_of_ctr": float(entropy),
        "calibration": float(logits.sigmoid().sum() / labels.double().sum()),
    }
