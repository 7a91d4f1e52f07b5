from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.dataset import Dataset
from fedctr.data.split import Fractions, Split, split
from fedctr.data.synthetic import Synthetic
from fedctr.errors import FedctrError

SMALL = Synthetic(users=1).read(None)


def with_counts(*counts: int) -> Dataset:
    """Only the offsets matter to a split."""
    return replace(SMALL, offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def sizes(parts: Split) -> list[list[int]]:
    return [
        (stop - first).tolist() for first, stop in map(parts.bounds, ("train", "validation", "test"))  # type: ignore[arg-type]
    ]  # fmt: skip


def test_ten_samples_are_cut_into_seven_one_and_two() -> None:
    parts = split(with_counts(10, 20), Fractions())
    assert sizes(parts) == [[7, 14], [1, 2], [2, 4]]
    assert parts.bounds("train")[0].tolist() == [0, 10]
    assert parts.bounds("test")[1].tolist() == [10, 30]


def test_validation_and_test_are_rounded_down() -> None:
    assert sizes(split(with_counts(0, 1, 4, 5, 9, 19), Fractions())) == [
        [0, 1, 4, 4, 8, 15],
        [0, 0, 0, 0, 0, 1],
        [0, 0, 0, 1, 1, 3],
    ]


def test_a_share_that_is_whole_is_not_lost_to_rounding() -> None:
    assert sizes(split(with_counts(100), Fractions(validation=0.29, test=0.57))) == [[14], [29], [57]]


def test_the_earlier_window_never_sees_the_later_test_part() -> None:
    dataset = with_counts(10, 20, 100)
    later, earlier = (split(dataset, Fractions(window=window)) for window in ("later", "earlier"))
    assert (earlier.stop == later.validation_end).all()
    assert sizes(earlier) == [[7, 12, 56], [0, 1, 8], [1, 3, 16]]


@given(
    counts=st.lists(st.integers(0, 1000), min_size=1, max_size=20),
    validation=st.floats(0.01, 0.45),
    test=st.floats(0.01, 0.45),
    window=st.sampled_from(["later", "earlier"]),
)
def test_parts_follow_one_another_and_training_is_never_empty(
    counts: list[int], validation: float, test: float, window: str
) -> None:
    dataset = with_counts(*counts)
    parts = split(dataset, Fractions(validation, test, window))  # type: ignore[arg-type]
    edges = np.stack([parts.start, parts.train_end, parts.validation_end, parts.stop])
    assert (np.diff(edges, axis=0) >= 0).all()
    assert (parts.start == dataset.offsets[:-1]).all()
    assert (parts.stop <= dataset.offsets[1:]).all()
    assert ((parts.train_end > parts.start) | (np.array(counts) == 0)).all()


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.2), (0.1, 0.0), (0.5, 0.5), (-0.1, 0.2), (0.1, 1.0)])
def test_shares_that_leave_no_part_are_refused(validation: float, test: float) -> None:
    with pytest.raises(FedctrError, match=f"split: validation {validation} and test {test} must be shares above 0"):
        Fractions(validation, test)


def test_the_training_part_can_be_cut_once_more() -> None:
    inner = split(with_counts(10, 20, 0, 5), Fractions()).inner(0.2)
    assert sizes(inner) == [[6, 12, 0, 4], [1, 2, 0, 0], [0, 0, 0, 0]]
    assert inner.bounds("train")[0].tolist() == [0, 10, 30, 30]
    assert inner.bounds("validation")[1].tolist() == [7, 24, 30, 34]
