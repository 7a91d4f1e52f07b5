import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.split import Split
from fedctr.federated.participation import Draw, Participation


def parts(train: list[int]) -> Split:
    """Users with so many training samples and one more."""
    stop = np.cumsum(np.array(train) + 1)
    start = stop - np.array(train) - 1
    return Split(start, stop - 1, stop - 1, stop)


def draw(number: int = 1, *, users: int = 1000, seed: int = 0, **keys: float) -> Draw:
    return Participation(**keys).draw(seed, number, parts([3] * users))


def test_everybody_takes_part_unless_told_otherwise() -> None:
    found = draw()
    assert found.sampled == 1000
    assert found.takes_part.all()
    assert not found.slow.any()


@pytest.mark.parametrize(("share", "users", "expected"), [(0.1, 1000, 100), (0.5, 5, 3), (0.25, 10, 3), (1e-9, 10, 1)])
def test_a_share_of_the_users_is_sampled_to_the_nearest_number(share: float, users: int, expected: int) -> None:
    found = draw(users=users, share=share)
    assert found.sampled == found.takes_part.sum() == expected


def test_users_without_training_samples_are_never_asked() -> None:
    found = Participation().draw(0, 1, parts([3, 0, 1, 0, 2]))
    assert found.takes_part.tolist() == [True, False, True, False, True]
    assert found.sampled == 3


def test_rounds_and_seeds_have_other_users() -> None:
    first, other_round, other_seed = draw(share=0.5), draw(2, share=0.5), draw(seed=1, share=0.5)
    for other in (other_round, other_seed):
        # Two independent halves have a quarter of all users in common: 250, give or take 4 standard deviations of 8.
        assert 218 < (first.takes_part & other.takes_part).sum() < 282
    assert (draw(share=0.5).takes_part == first.takes_part).all()


def test_every_user_is_sampled_as_often_as_any_other() -> None:
    times = np.sum([draw(number, users=50, share=0.2).takes_part for number in range(1, 401)], axis=0)
    # 400 draws with a chance of 0.2: 80, with a standard deviation of 8.
    assert times.sum() == 400 * 10
    assert 80 - 4 * 8 < times.min() <= times.max() < 80 + 4 * 8


def test_as_many_drop_out_and_are_slow_as_is_likely() -> None:
    found = draw(users=10_000, share=0.5, dropout=0.2, stragglers=0.5)
    replied = int(found.takes_part.sum())
    assert found.sampled == 5000
    assert abs(5000 - replied - 1000) < 4 * 28  # binomial
    assert abs(found.slow.sum() - replied / 2) < 4 * 32
    assert not (found.slow & ~found.takes_part).any()


@given(share=st.floats(0.01, 1), dropout=st.floats(0, 0.9), number=st.integers(1, 9))
def test_whoever_drops_out_had_been_sampled(share: float, dropout: float, number: int) -> None:
    whole, thinned = (draw(number, users=40, share=share, dropout=chance) for chance in (0.0, dropout))
    assert whole.sampled == thinned.sampled
    assert not (thinned.takes_part & ~whole.takes_part).any()
