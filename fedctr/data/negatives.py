"""Negatives for data that hold nothing but positives, drawn exactly and without trial and error."""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedctr.errors import FedctrError
from fedctr.randomness import words

Whole = npt.NDArray[np.int64]


def draw(user: Whole, item: Whole, user_ids: pa.StringArray, weights: Whole, count: int, seed: int) -> Whole:
    """For every positive some items that are no positive of its user at all.

    Each item is a stretch of a line, as long as its weight. What the user has is cut out, and a point of what remains
    is drawn: one random word makes one negative. It is drawn by itself, so a user may get an item more than once.

    Args:
        user: int64 (positives,), ascending.
        item: int64 (positives,), ascending and distinct for each user.
        user_ids: raw ids, strings (users,).
        weights: int64 (items,), at least 1; an item is drawn in proportion.
        count: negatives per positive.
        seed: of the draws; the ``k``-th of a user depends on it, on the user's raw id, items and ``k``, and on the
            weights, whoever else is there.

    Returns:
        Items, int64 (positives * count,), those of one positive side by side.

    Raises:
        FedctrError: when a user has every item.
    """
    end = np.cumsum(weights)
    total = int(end[-1]) if len(end) else 0
    first = np.searchsorted(user, np.arange(len(user_ids) + 1))
    cut = np.concatenate([[0], np.cumsum(weights[item])])  # before each positive, over all users
    room = total - (cut[first[1:]] - cut[first[:-1]])
    if not room.all():
        name = user_ids[int(np.argmin(room))].as_py()
        raise FedctrError(
            f"user {name} has all {len(weights):,} items: no negative is left to draw; pass positives=ratings"
        )
    # Where each positive begins once those before it are cut out; the lines of all users stand one after another.
    begin = (end - weights)[item] - (cut[:-1] - cut[first[user]]) + user * (total + 1)
    owner = np.repeat(user, count)
    place = np.arange(len(owner)) - first[owner] * count
    word = words(seed, "negatives", _keys(user_ids)[owner] + place, 1)[:, 0]
    point = (word % room[owner].astype(np.uint64)).astype(np.int64)
    passed = np.searchsorted(begin, point + owner * (total + 1), side="right")
    drawn: Whole = np.searchsorted(end, point + cut[passed] - cut[first[owner]], side="right")
    return drawn


def _keys(user_ids: pa.StringArray) -> Whole:
    """A number for each raw id, whatever its row, int64 (users,)."""
    digests = b"".join(hashlib.blake2b(user.encode(), digest_size=8).digest() for user in user_ids.to_pylist())
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)
