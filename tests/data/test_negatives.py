from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.negatives import draw
from fedctr.errors import FedctrError
from fedctr.randomness import Words

# Each user's items, of 6; nobody has all.
COLLECTIONS = st.lists(st.sets(st.integers(0, 5), max_size=5), min_size=1, max_size=6)
WEIGHTS = st.lists(st.integers(1, 5), min_size=6, max_size=6)


def drawn(
    collections: list[set[int]], weights: list[int], count: int = 1, seed: int = 0, names: list[str] | None = None
) -> list[list[int]]:
    """What each user gets."""
    user = np.array([user for user, items in enumerate(collections) for _ in items], np.int64)
    item = np.array([item for items in collections for item in sorted(items)], np.int64)
    ids = pa.array(names or [f"user {number}" for number in range(len(collections))], pa.string())
    found = draw(user, item, ids, np.array(weights, np.int64), count, seed)
    assert len(found) == count * len(user)
    owner = np.repeat(user, count)
    return [found[owner == number].tolist() for number in range(len(collections))]


@given(COLLECTIONS, WEIGHTS, st.integers(1, 4), st.integers(0, 9))
def test_never_an_item_of_the_user_and_the_ratio_is_exact(
    collections: list[set[int]], weights: list[int], count: int, seed: int
) -> None:
    for has, gets in zip(collections, drawn(collections, weights, count, seed), strict=True):
        assert len(gets) == count * len(has)
        assert not has & set(gets)
        assert set(gets) <= set(range(6))


@given(COLLECTIONS, WEIGHTS, st.integers(0, 5), st.integers(0, 9))
def test_a_user_gets_the_same_whoever_else_is_there(
    others: list[set[int]], weights: list[int], place: int, seed: int
) -> None:
    place = min(place, len(others))
    names = [f"user {number}" for number in range(len(others))]
    alone = drawn([{1, 4}], weights, 2, seed, ["me"])[0]
    among = drawn([*others[:place], {1, 4}, *others[place:]], weights, 2, seed, [*names[:place], "me", *names[place:]])
    assert among[place] == alone


@given(WEIGHTS, st.sets(st.integers(0, 5), min_size=1, max_size=5), st.data())
def test_every_point_of_what_remains_leads_to_its_item(weights: list[int], has: set[int], data: st.DataObject) -> None:
    # The oracle writes the line out: every item as often as it weighs, without what the user has.
    line = [item for item in range(6) if item not in has for _ in range(weights[item])]
    word = data.draw(st.integers(0, 2**64 - 1))

    def fixed(seed: int, stage: str, users: object, count: int) -> Words:
        return np.full((len(has), 1), word, np.uint64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedctr.data.negatives.words", fixed)
        assert drawn([has], weights) == [[line[word % len(line)]] * len(has)]


def test_items_are_drawn_in_proportion_to_their_weights() -> None:
    users = 20_000
    counts = Counter(item for gets in drawn([{0}] * users, [9, 1, 3, 6, 5, 5]) for item in gets)
    assert set(counts) == {1, 2, 3, 4, 5}
    for item, weight in enumerate([1, 3, 6, 5, 5], start=1):
        share = weight / 20
        assert abs(counts[item] / users - share) < 5 * np.sqrt(share * (1 - share) / users)


def test_another_seed_draws_others() -> None:
    assert drawn([{0}] * 50, [1] * 6, seed=1) != drawn([{0}] * 50, [1] * 6, seed=2)


def test_users_with_the_same_items_draw_by_themselves() -> None:
    assert len({tuple(gets) for gets in drawn([{0, 1, 2}] * 20, [1] * 6)}) > 1


def test_who_has_everything_leaves_nothing_to_draw() -> None:
    with pytest.raises(FedctrError) as caught:
        drawn([{0}, {0, 1, 2}], [1, 1, 1])
    assert str(caught.value) == "user user 1 has all 3 items: no negative is left to draw; pass positives=ratings"


def test_without_positives_nothing_is_drawn() -> None:
    assert drawn([], []) == []
    assert drawn([set()], [1]) == [[]]
