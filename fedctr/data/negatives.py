"""Negatives for logs that hold positives only: items that a user has nowhere in the log."""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedctr.errors import FedctrError
from fedctr.randomness import words_at

Ints = npt.NDArray[np.int32]
Rows = npt.NDArray[np.signedinteger]
Whole = npt.NDArray[np.int64]
_AT_ONCE = 1 << 21  # draws that are computed side by side, which bounds the memory


def sample(
    user: Rows,
    item: Rows,
    user_ids: pa.StringArray,
    items: int,
    per_positive: int,
    popularity: bool,
    seed: int,
    also_seen: tuple[Rows, Rows] | None = None,
) -> Ints:
    """Draw items that a user has never met, some for each of its positives.

    Nothing is drawn twice over: the items that a user has met are taken out of its lottery, and one word decides. A
    word is keyed by the user's raw id and the place among its positives, so it depends on no other user; the bias of
    taking a 64-bit word modulo the tickets is below 1e-9.

    Args:
        user: rows of users, (positives,).
        item: rows of items, (positives,). The order of a user's positives matters: sort them by time and item.
        user_ids: raw ids, strings (users,).
        items: number of items.
        per_positive: negatives for each positive.
        popularity: draw an item as often as it occurs among all positives; else all items alike.
        seed: any integer.
        also_seen: user and item of further pairs that must not be drawn.

    Returns:
        int32 (positives, per_positive), rows of items; one may come up more than once.

    Raises:
        FedctrError: when a user with a positive has met every item that could be drawn.
    """
    users, own_number = len(user_ids), _numbers(user_ids)
    tickets = np.bincount(item, minlength=items) if popularity else np.ones(items, np.int64)
    ends = np.cumsum(tickets)
    total = int(ends[-1]) if items else 0
    met_user, met_item = _distinct_pairs(user, item, items, also_seen)
    starts = np.searchsorted(met_user, np.arange(users + 1))
    # Tickets of the user's own items up to and with each of its pairs; and what is left to draw.
    own = np.concatenate([[0], np.cumsum(tickets[met_item])])
    before = own[starts[:-1]]
    left = total - (own[starts[1:]] - before)
    _refuse_empty(left, user, user_ids)
    # For each pair, the tickets in front of its item that the user may draw: ascending within a user.
    ahead = ends[met_item] - (own[1:] - np.repeat(before, np.diff(starts)))
    keys = met_user * (total + 1) + ahead
    place = _places(user, users)
    drawn = np.empty((len(user), per_positive), np.int32)
    step = max(1, _AT_ONCE // max(1, per_positive))
    for first in range(0, len(user), step):
        rows = slice(first, first + step)
        who = user[rows].astype(np.int64)[:, None]
        words = words_at(seed, "negatives", own_number[who], place[rows, None] * per_positive + np.arange(per_positive))
        ticket = (words % left[who].astype(np.uint64)).astype(np.int64)
        passed = np.searchsorted(keys, who * (total + 1) + ticket, side="right")
        drawn[rows] = np.searchsorted(ends, ticket + own[passed] - before[who], side="right")
    return drawn


def beside(positives: tuple[Rows, Rows, Whole], drawn: Ints) -> tuple[Rows, Rows, npt.NDArray[np.uint8], Whole]:
    """Positives, and after them their negatives, which bear the same times.

    Args:
        positives: user, item and time, each (positives,).
        drawn: int32 (positives, per_positive), the negatives.

    Returns:
        User, item, label and time, each (positives + negatives,).
    """
    user, item, time = positives
    count = drawn.shape[1]
    return (
        np.concatenate([user, np.repeat(user, count)]),
        np.concatenate([item, drawn.reshape(-1)]),
        np.repeat(np.array([1, 0], np.uint8), [len(user), drawn.size]),
        np.concatenate([time, np.repeat(time, count)]),
    )


def _distinct_pairs(user: Rows, item: Rows, items: int, also_seen: tuple[Rows, Rows] | None) -> tuple[Whole, Whole]:
    """What each user has met, sorted by user and item."""
    pairs = user.astype(np.int64) * items + item
    if also_seen is not None:
        pairs = np.concatenate([pairs, also_seen[0].astype(np.int64) * items + also_seen[1]])
    return np.divmod(np.unique(pairs), max(1, items))


def _refuse_empty(left: Whole, user: Rows, user_ids: pa.StringArray) -> None:
    empty = np.flatnonzero(left == 0)
    with_positives = empty[np.isin(empty, user)] if len(empty) else empty
    if len(with_positives):
        raise FedctrError(
            f"negatives: {len(with_positives):,} users, the first of them {user_ids[int(with_positives[0])]}, "
            "have met every item, so that none is left to draw; draw from more items, or leave these users out"
        )


def _places(user: Rows, users: int) -> Whole:
    """The place of each positive among those of its user, in the given order."""
    order = np.argsort(user, kind="stable")
    counts = np.bincount(user, minlength=users)
    places = np.empty(len(user), np.int64)
    places[order] = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places


def _numbers(user_ids: pa.StringArray) -> Whole:
    """A number for each raw id, whatever its row, int64 (users,)."""
    digests = b"".join(hashlib.blake2b(user.encode(), digest_size=8).digest() for user in user_ids.to_pylist())
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)
