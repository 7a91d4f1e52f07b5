from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.split import Days, Fractions, Split, split
from fedctr.data.synthetic import Synthetic
from fedctr.errors import FedctrError

SMALL = Synthetic(users=1).read(None, Reading())


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


# ------------------------------------------------------------------------------------------------ days

DAY, HOUR = 86_400, 3_600


def at(*users: Sequence[float]) -> Dataset:
    """Users whose samples were shown after so many days, in UTC, from the first day of 1970."""
    times = [sorted(int(day * DAY) for day in user) for user in users]
    return replace(with_counts(*map(len, users)), time=np.array([time for user in times for time in user], np.int64))


def test_the_last_day_is_test_and_the_one_before_validation_for_all_users_alike() -> None:
    parts = split(at([0.5, 1.5, 2.0, 2.9, 3.0], [3.2, 3.9], [], [0.1], [2.5]), Days())
    assert sizes(parts) == [[2, 0, 0, 1, 0], [2, 0, 0, 0, 1], [1, 2, 0, 0, 0]]
    assert parts.bounds("train")[0].tolist() == [0, 5, 7, 7, 8]
    assert parts.bounds("test")[1].tolist() == [5, 7, 7, 8, 9]


def test_several_days_may_be_kept() -> None:
    assert sizes(split(at([0.5, 1.5, 2.5, 3.5, 4.5, 5.5]), Days(validation=2, test=3))) == [[1], [2], [3]]


def test_the_earlier_window_drops_the_last_days() -> None:
    dataset = at([0.5, 1.5, 2.5, 3.5, 4.5], [4.1, 4.2], [3.1])
    parts = split(dataset, Days(window="earlier"))
    assert sizes(parts) == [[2, 0, 0], [1, 0, 0], [1, 0, 1]]
    assert (parts.stop == split(dataset, Days()).validation_end).all()
    longer = at([0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    assert sizes(split(longer, Days(test=2, window="earlier"))) == [[1], [1], [2]]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0, [[1], [1], [2]]), (8, [[2], [1], [1]]), (-8, [[1], [2], [1]])],
)
def test_a_day_begins_at_midnight_by_the_clock_of_the_data_set(hours: int, expected: list[list[int]]) -> None:
    # In Beijing 17:00 UTC is already the next day, on the west coast of America 01:00 is still the day before.
    dataset = at([0.5, 1.5, 2 + 1 / 24, 2 + 17 / 24])
    assert sizes(split(dataset, Days(hours_from_utc=hours))) == expected


def test_a_second_before_midnight_is_another_day() -> None:
    dataset = replace(at([0, 0, 0, 0]), time=np.array([0, DAY - 1, DAY, 2 * DAY]))
    assert sizes(split(dataset, Days())) == [[2], [1], [1]]


def test_days_before_1970_are_days_too() -> None:
    assert sizes(split(at([-2.5, -1.5, -0.5]), Days())) == [[1], [1], [1]]


def test_a_day_without_samples_is_a_day() -> None:
    assert sizes(split(at([0.5, 5.5]), Days())) == [[1], [0], [1]]


@given(
    users=st.lists(st.lists(st.integers(-3 * DAY, 9 * DAY), max_size=12), min_size=1, max_size=8).filter(any),
    validation=st.integers(1, 3),
    test=st.integers(1, 3),
    window=st.sampled_from(["later", "earlier"]),
    hours=st.integers(-12, 14),
)
def test_a_sample_is_in_the_part_of_its_day(
    users: list[list[int]], validation: int, test: int, window: str, hours: int
) -> None:
    dataset = at(*[[second / DAY for second in user] for user in users])
    days = Days(validation, test, window, hours)  # type: ignore[arg-type]
    day_of = [(int(time) + hours * HOUR) // DAY for time in dataset.time]
    last = max(day_of) - (test if window == "earlier" else 0)
    if last - test - validation < min(day_of):
        with pytest.raises(FedctrError, match=f"has {max(day_of) - min(day_of) + 1} days"):
            split(dataset, days)
        return
    parts = split(dataset, days)
    assert parts.start.tolist() == dataset.offsets[:-1].tolist()
    for user, (start, stop) in enumerate(pairwise(dataset.offsets.tolist())):
        for row in range(start, stop):
            age = last - day_of[row]
            expected = "test" if age < test else "validation" if age < test + validation else "train"
            first, end = parts.bounds(expected)  # type: ignore[arg-type]
            assert (first[user] <= row < end[user]) == (age >= 0)


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (Days(), "has 2 days, and 1 more are needed for a day of training before validation 1 and test 1 "),
        (Days(test=3), "has 2 days, and 3 more are needed for a day of training before validation 1 and test 3 "),
        (Days(window="earlier"), "has 2 days, and 2 more are needed .* \\(window earlier\\)"),
    ],
)
def test_fewer_days_than_are_needed_are_counted(days: Days, message: str) -> None:
    with pytest.raises(FedctrError, match=f"split: data set synthetic {message}"):
        split(at([0.1, 1.9], [0.5]), days)
    with pytest.raises(FedctrError, match="has 1 days, and 2 more"):
        split(at([0.1, 0.9]), Days())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 0}, "validation 0 and test 1 must be at least 1 day each"),
        ({"test": -1}, "validation 1 and test -1 must be at least 1 day each"),
        ({"hours_from_utc": 15}, "hours_from_utc 15 must be from -12 to 14"),
        ({"hours_from_utc": -13}, "hours_from_utc -13 must be from -12 to 14"),
    ],
)
def test_days_that_cannot_be_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(FedctrError, match=f"split: {message}"):
        Days(**options)  # type: ignore[arg-type]


def test_the_training_part_can_be_cut_once_more() -> None:
    inner = split(with_counts(10, 20, 0, 5), Fractions()).inner(0.2)
    assert sizes(inner) == [[6, 12, 0, 4], [1, 2, 0, 0], [0, 0, 0, 0]]
    assert inner.bounds("train")[0].tolist() == [0, 10, 30, 30]
    assert inner.bounds("validation")[1].tolist() == [7, 24, 30, 34]
