"""The work in plain PyTorch, as the competitors share it: one user's batches, fine-tuning, ranking."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from work import Integers, Part, Work, auc

# Some samples of one user: what the model's forward takes, see plain_models.py, and the labels, float32 (samples,).
Batch = tuple[Tensor, ...]


def fine_tune(model: nn.Module, optimiser: torch.optim.Optimizer, batches: Iterable[Batch]) -> None:
    """Take a step on every batch."""
    for *features, label in batches:
        loss = F.binary_cross_entropy_with_logits(model(*features), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.no_grad()
def measure(model: nn.Module, batch: Batch) -> float:
    """The model's AUC on one user's samples."""
    *features, label = batch
    return auc(model(*features).numpy(), label.numpy())


def training_batches(work: Work, user: int) -> Iterator[Batch]:
    """The batches of one user's fine-tuning, all epochs, in order."""
    for rows in work.training_rows(user):
        yield _batch(work, user, work.train, rows)


def local_batch(work: Work, user: int) -> Batch:
    """All samples that one user is fine-tuned on, in the order of time."""
    rows = work.train.of(user)
    return _batch(work, user, work.train, np.arange(rows.start, rows.stop))


def test_batch(work: Work, user: int) -> Batch:
    """All samples of one user to be ranked."""
    rows = work.test.of(user)
    return _batch(work, user, work.test, np.arange(rows.start, rows.stop))


def _batch(work: Work, user: int, part: Part, rows: Integers) -> Batch:
    arrays = [work.user_codes[user : user + 1]]
    if part.history.shape[1]:
        numbers = np.concatenate([part.item[rows, None], part.history[rows]], axis=1)
        distinct, index = np.unique(np.append(numbers, 0), return_inverse=True)
        index = index[:-1].reshape(numbers.shape)
        arrays += [work.item_codes[distinct], index[:, 0].copy(), index[:, 1:].copy()]
    else:
        arrays += [work.item_codes[part.item[rows]]]
    return *map(torch.from_numpy, arrays), torch.from_numpy(part.label[rows])
