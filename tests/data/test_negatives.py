from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.negatives import Whole, _numbers, sample
from fedctr.errors import FedctrError
from fedctr.randomness import words

USERS, ITEMS = 4, 6


def ids(users: int) -> pa.StringArray:
    return pa.array([f"u{user}" for user in range(users)])


Pairs = list[tuple[int, int]]
PAIRS = st.lists(st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1)), max_size=20)


def columns(pairs: Pairs) -> tuple[Whole, Whole]:
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def one_user_at_a_time(pairs: Pairs, per_positive: int, popularity: bool, seed: int, seen: Pairs) -> list[list[int]]:
    """The same by hand: write out each user's tickets, and let one word choose among them."""
    clicks = Counter(item for _, item in pairs)
    places: Counter[int] = Counter()
    drawn = []
    for user, _ in pairs:
        met = {item for who, item in [*pairs, *seen] if who == user}
        tickets = [item for item in range(ITEMS) if item not in met for _ in range(clicks[item] if popularity else 1)]
        if not tickets:
            raise FedctrError("none left")
        own = words(seed, "negatives", _numbers(ids(USERS))[[user]], (places[user] + 1) * per_positive)[
            0, -per_positive:
        ]
        drawn.append([tickets[int(word) % len(tickets)] for word in own])
        places[user] += 1
    return drawn


@given(
    pairs=PAIRS, seen=PAIRS, per_positive=st.integers(1, 3), popularity=st.booleans(), seed=st.integers(0, 2**31)
)  # fmt: skip
def test_it_equals_a_plain_loop_over_users(
    pairs: Pairs, seen: Pairs, per_positive: int, popularity: bool, seed: int
) -> None:
    user, item = columns(pairs)
    arguments = (ids(USERS), ITEMS, per_positive, popularity, seed, columns(seen))
    try:
        expected = one_user_at_a_time(pairs, per_positive, popularity, seed, seen)
    except FedctrError:
        with pytest.raises(FedctrError, match="have met every item"):
            sample(user, item, *arguments)
        return
    found = sample(user, item, *arguments)
    assert found.shape == (len(pairs), per_positive)
    assert found.tolist() == expected


def test_wherever_the_work_is_cut_the_draws_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 30, 400), rng.integers(0, 50, 400)
    whole = sample(user, item, ids(30), 50, 3, True, 7)
    monkeypatch.setattr("fedctr.data.negatives._AT_ONCE", 10)
    assert (sample(user, item, ids(30), 50, 3, True, 7) == whole).all()


def test_a_users_uniform_draws_depend_on_no_other_user() -> None:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 30, 400), rng.integers(0, 50, 400)
    whole, alone = sample(user, item, ids(30), 50, 2, False, 7), user == 3
    assert (sample(user[alone], item[alone], ids(30), 50, 2, False, 7) == whole[alone]).all()


def test_items_come_up_alike_or_by_their_clicks() -> None:
    # The first user has met item 0 alone. Items 1 and 2 have one and three clicks of the others.
    user, item = np.array([0] * 9000 + [1, 2, 3, 4]), np.array([0] * 9000 + [1, 2, 2, 2])
    alike = np.bincount(sample(user, item, ids(5), 3, 1, False, 1)[:9000, 0], minlength=3) / 9000
    assert alike == pytest.approx([0, 1 / 2, 1 / 2], abs=0.02)
    by_clicks = np.bincount(sample(user, item, ids(5), 3, 1, True, 1)[:9000, 0], minlength=3) / 9000
    assert by_clicks == pytest.approx([0, 1 / 4, 3 / 4], abs=0.02)


def test_who_has_met_every_item_is_named() -> None:
    with pytest.raises(FedctrError, match=r"negatives: 1 users, the first of them u1, have met every item"):
        sample(np.array([1, 1, 0]), np.array([0, 1, 0]), ids(3), 2, 1, False, 0)


def test_who_has_met_every_item_but_has_no_positive_is_no_obstacle() -> None:
    seen = (np.array([1, 1]), np.array([0, 1]))
    assert sample(np.array([0]), np.array([0]), ids(2), 2, 1, False, 0, seen).tolist() == [[1]]


def test_without_positives_nothing_is_drawn() -> None:
    nothing = np.array([], np.int64)
    assert sample(nothing, nothing, ids(2), 2, 3, True, 0).shape == (0, 3)
