"""What the nearest of a user's own samples say of others."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr.fused.compiled import compiled, entry
from fedctr.fused.state import Flags
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.vectors import load, multiply_add, spread, total


@compiled
def _same(values: Floats, one: int, other: int, width: int) -> bool:
    j = 0
    while j < width and values[one + j] == values[other + j]:
        j += 1
    return j == width


@entry
def vote(
    here: Floats,
    there: Floats,
    width: int,
    labels: Floats,
    real: Flags,
    scale: np.float32,
    nearest: Floats,
    distances: Floats,
    found: Floats,
) -> None:
    """Let the nearest samples vote by their labels, one user and one sample after the other.

    Args:
        here: float32 (users * samples * width,), where the samples stand that are asked about.
        there: float32 (users * local samples * width,), where the user's own stand.
        width: a multiple of ``PADDED``.
        labels: float32 (users, local samples), theirs.
        real: bool (users, local samples), which of them there are.
        scale: the squared distance at which a vote counts e times less.
        nearest: float32 (neighbours,), room.
        distances: float32 (local samples,), room.
        found: float32 (users, samples), gets the votes; stays as it is for a user without samples.
    """
    samples, others = found.shape[1], labels.shape[1]
    for user in range(len(found)):
        for sample in range(samples):
            of = (user * samples + sample) * width
            if sample and _same(here, of - width, of, width):  # all of the padding stands in one place
                found[user, sample] = found[user, sample - 1]
                continue
            count = 0
            for other in range(others):
                if not real[user, other]:
                    continue
                to, squares = (user * others + other) * width, spread(np.float32(0))
                for j in range(0, width, PADDED):
                    apart = load(here, of + j) - load(there, to + j)
                    squares = multiply_add(apart, apart, squares)
                distance = total(squares)
                distances[other] = distance
                if count < len(nearest):
                    count += 1
                elif not distance < nearest[count - 1]:
                    continue
                at = count - 1
                while at and nearest[at - 1] > distance:
                    nearest[at] = nearest[at - 1]
                    at -= 1
                nearest[at] = distance
            votes, positive = np.float32(0), np.float32(0)
            for other in range(others):
                # As far as the last of the nearest, all count.
                if count and real[user, other] and distances[other] <= nearest[count - 1]:
                    # The nearest has weight 1, which cancels out; far from all others none would be left otherwise.
                    weight = np.exp((nearest[0] - distances[other]) / scale)
                    votes += weight
                    positive += weight * labels[user, other]
            if count:
                found[user, sample] = positive / votes


def votes_of_nearest(
    here: Tensor, there: Tensor, labels: Tensor, mask: Tensor, neighbours: int, scale: float
) -> Tensor:
    """The weighted share of positives among a user's own samples that are nearest to others, those as far included.

    A sample at squared distance d counts ``exp(-d / scale)``.

    Args:
        here: float32 (users, samples, width), where those samples stand.
        there: float32 (users, local samples, width), where the user's own stand.
        labels: float32 (users, local samples), theirs.
        mask: bool (users, local samples), False in the padding.
        neighbours: how many are the nearest.
        scale: of the squared distance.

    Returns:
        float32 (users, samples); 0 for a user without samples.
    """
    spare = -here.shape[2] % PADDED
    one, other = (
        (F.pad(vectors, (0, spare)) if spare else vectors).cpu().contiguous().numpy() for vectors in (here, there)
    )
    found = np.zeros(here.shape[:2], dtype=np.float32)
    vote(
        one.ravel(),
        other.ravel(),
        one.shape[2],
        labels.cpu().contiguous().numpy(),
        mask.cpu().contiguous().numpy(),
        np.float32(scale),
        np.zeros(min(neighbours, there.shape[1]), dtype=np.float32),
        np.zeros(there.shape[1], dtype=np.float32),
        found,
    )
    return torch.from_numpy(found).to(here.device)
