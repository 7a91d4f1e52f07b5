"""What the nearest of a user's own samples say of others."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr.fused.compiled import compiled, entry
from fedctr.fused.state import Flags, Numbers
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.vectors import load, multiply_add, spread, total


@compiled
def _same(values: Floats, one: int, other: int, width: int) -> bool:
    j = 0
    while j < width and values[one + j] == values[other + j]:
        j += 1
    return j == width


@compiled
def _furthest(bits: Numbers, count: int, wanted: int) -> np.int32:
    """The bits of a distance that only the nearest do not exceed: so many, and those as far as the last of them.

    As whole numbers, the bits of distances have the order of the distances, and halving needs 31 turns at most.
    """
    least = most = bits[0]
    for other in range(count):
        least, most = min(least, bits[other]), max(most, bits[other])
    while least < most:
        middle = np.int32(least + (most - least) // 2)
        among = np.int32(0)
        for other in range(count):
            among = np.int32(among + np.int32(bits[other] <= middle))
        if among == wanted:
            return middle
        if among < wanted:
            least = np.int32(middle + 1)
        else:
            most = middle
    return np.int32(most)


@entry
def vote(
    here: Floats,
    there: Floats,
    width: int,
    labels: Floats,
    real: Flags,
    scale: np.float32,
    neighbours: int,
    distances: Floats,
    bits: Numbers,
    own: Numbers,
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
        neighbours: how many are the nearest.
        distances: float32 (local samples,), room.
        bits: the same room as int32.
        own: int32 (local samples,), room.
        found: float32 (users, samples), gets the votes; stays as it is for a user without samples.
    """
    samples, others = found.shape[1], labels.shape[1]
    for user in range(len(found)):
        count = 0
        for other in range(others):
            own[count] = other
            count += real[user, other]
        if not count:
            continue
        for sample in range(samples):
            of = (user * samples + sample) * width
            if sample and _same(here, of - width, of, width):  # all of the padding stands in one place
                found[user, sample] = found[user, sample - 1]
                continue
            for number in range(count):
                to, squares = (user * others + own[number]) * width, spread(np.float32(0))
                for j in range(0, width, PADDED):
                    apart = load(here, of + j) - load(there, to + j)
                    squares = multiply_add(apart, apart, squares)
                distances[number] = total(squares)
            furthest, nearest = _furthest(bits, count, min(neighbours, count)), distances[0]
            for number in range(count):
                nearest = min(nearest, distances[number])
            votes, positive = np.float32(0), np.float32(0)
            for number in range(count):
                if bits[number] <= furthest:
                    # The nearest has weight 1, which cancels out; far from all others none would be left otherwise.
                    weight = np.exp((nearest - distances[number]) / scale)
                    votes += weight
                    positive += weight * labels[user, own[number]]
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
    found, distances = np.zeros(here.shape[:2], dtype=np.float32), np.zeros(there.shape[1], dtype=np.float32)
    vote(
        one.ravel(),
        other.ravel(),
        one.shape[2],
        labels.cpu().contiguous().numpy(),
        mask.cpu().contiguous().numpy(),
        np.float32(scale),
        neighbours,
        distances,
        distances.view(np.int32),
        np.zeros(there.shape[1], dtype=np.int32),
        found,
    )
    return torch.from_numpy(found).to(here.device)
