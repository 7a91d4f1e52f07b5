from itertools import permutations as orders

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr.randomness import permutations, uniform, words, words_at

MASK64 = 2**64 - 1
seeds = st.integers(-(2**70), 2**70)
some_users = st.lists(st.integers(0, 2**40), min_size=1, max_size=6, unique=True)


def mix(state: int) -> int:
    """SplitMix64 as its authors print it, in whole numbers."""
    state = (state + 0x9E3779B97F4A7C15) & MASK64
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK64
    return state ^ (state >> 31)


def test_the_mixer_is_splitmix64() -> None:
    # The first two numbers of the published generator with seed 1234567.
    assert mix(1234567) == 6457827717110365317
    assert mix(1234567 + 0x9E3779B97F4A7C15 & MASK64) == 3203168211198807973


@given(seed=seeds, users=some_users, count=st.integers(0, 5))
def test_a_word_is_a_hash_of_seed_stage_user_and_place(seed: int, users: list[int], count: int) -> None:
    state = mix(seed & MASK64)
    for byte in b"shuffle 1":
        state = mix(state ^ byte)
    expected = [[mix(mix(state ^ user) ^ place) for place in range(count)] for user in users]
    assert words(seed, "shuffle 1", np.array(users), count).tolist() == expected


@given(seed=seeds, users=some_users, places=st.lists(st.integers(0, 9), min_size=6, max_size=6))
def test_any_word_can_be_had_alone(seed: int, users: list[int], places: list[int]) -> None:
    whole = words(seed, "a", np.array(users), 10)
    some = places[: len(users)]
    found = words_at(seed, "a", np.array(users), np.array(some))
    assert found.tolist() == [int(whole[row, place]) for row, place in enumerate(some)]


@given(seed=seeds, users=some_users)
def test_a_users_words_are_the_same_whoever_is_present(seed: int, users: list[int]) -> None:
    together = words(seed, "a", np.array(users), 4)
    for place, user in enumerate(users):
        assert words(seed, "a", np.array([user]), 4).tolist() == [together[place].tolist()]
        assert words(seed, "a", np.array([user]), 9)[0, :4].tolist() == together[place].tolist()


def test_another_seed_stage_user_or_place_gives_another_word() -> None:
    drawn = [
        word
        for seed in (0, 1, 2)
        for stage in ("shuffle 1", "shuffle 2", "shuffle 11", "shuffle 12", "cloud 1", "cloud 2", "1 shuffle")
        for word in words(seed, stage, np.arange(50), 20).ravel().tolist()
    ]
    assert len(set(drawn)) == len(drawn) == 3 * 7 * 50 * 20


def test_every_bit_is_set_half_of_the_time() -> None:
    drawn = words(3, "bits", np.arange(200), 100).reshape(-1, 1)
    share = ((drawn >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).mean(0)
    assert np.abs(share - 0.5).max() < 5 * 0.5 / np.sqrt(len(drawn))


@given(
    seed=seeds,
    masks=st.integers(0, 12).flatmap(
        lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1, max_size=4)
    ),
)
def test_a_permutation_has_the_samples_first_and_the_padding_in_its_old_order(
    seed: int, masks: list[list[bool]]
) -> None:
    mask = np.array(masks, dtype=bool).reshape(len(masks), -1)
    for order, present in zip(permutations(seed, "s", np.arange(len(mask)), mask), mask, strict=True):
        samples = int(present.sum())
        assert sorted(order[:samples]) == np.flatnonzero(present).tolist()
        assert order[samples:].tolist() == np.flatnonzero(~present).tolist()


@given(samples=st.integers(0, 20), padding=st.integers(0, 20))
def test_padding_and_neighbours_do_not_change_an_order(samples: int, padding: int) -> None:
    mask = np.arange(samples + padding) < np.array([[samples], [samples + padding]])
    alone = permutations(7, "s", np.array([5]), np.ones((1, samples), dtype=bool))[0]
    assert permutations(7, "s", np.array([5, 6]), mask)[0, :samples].tolist() == alone.tolist()


@pytest.mark.parametrize("stage", ["shuffle 1", "shuffle 2"])
def test_all_orders_are_equally_likely(stage: str) -> None:
    users = 24_000
    drawn = permutations(11, stage, np.arange(users), np.ones((users, 4), dtype=bool))
    counts = [int((drawn == order).all(1).sum()) for order in orders(range(4))]
    assert sum(counts) == users
    chi_square = sum((count - 1000) ** 2 / 1000 for count in counts)
    assert 5 < chi_square < 50  # 23 degrees of freedom: outside with a probability of 0.001


def test_the_orders_of_two_stages_are_unrelated() -> None:
    users = np.arange(6_000)
    first, second = (permutations(0, stage, users, np.ones((6_000, 3), dtype=bool)) for stage in ("1", "2"))
    assert (first == second).all(1).mean() == pytest.approx(1 / 6, abs=0.02)


def test_uniform_numbers_are_the_leading_24_bits_of_a_word() -> None:
    users = np.arange(1_000)
    found = uniform(5, "stage", users)
    assert found.dtype == np.float32
    assert found.tolist() == [(int(word) >> 40) / 2**24 for word in words(5, "stage", users, 1)[:, 0]]
    assert 0 <= found.min() < 0.01
    assert 0.99 < found.max() < 1
    assert found.mean() == pytest.approx(0.5, abs=0.03)
