"""Sums of each user, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from fedctr.online.exposure import drift, exposure

DAILY = pd.DataFrame(
    [
        (0, "a", -2, 10, 1),
        (0, "a", -1, 10, 3),
        (0, "a", 0, 10, 2),
        (0, "a", 3, 10, 5),
        (1, "b", 0, 10, 0),
        (2, "b", -1, 20, 2),  # does not come again
        (3, "b", -1, 10, 4),
        (3, "b", 1, 5, 5),
    ],
    columns=["user", "arm", "day", "impressions", "clicks"],
)


def test_users_of_the_test_with_what_they_did_in_it_and_before() -> None:
    expected = pd.DataFrame(
        {
            "user": [0, 1, 3],
            "arm": ["a", "b", "b"],
            "impressions": [20, 10, 5],
            "clicks": [7, 0, 5],
            "impressions_before": [20, 0, 10],
            "clicks_before": [4, 0, 4],
        }
    )
    pd.testing.assert_frame_equal(exposure(DAILY), expected, check_dtype=False)


def test_up_to_a_day() -> None:
    until = exposure(DAILY, until=0)
    assert until["user"].tolist() == [0, 1]
    assert until["clicks"].tolist() == [2, 0]
    assert until["clicks_before"].tolist() == [4, 0]


def test_drift_is_of_the_days_before_the_test() -> None:
    # Everybody who came again: 8 clicks of 30; user 1 was shown nothing.
    np.testing.assert_allclose(drift(exposure(DAILY)), [4 / 20 - 8 / 30, np.nan, 4 / 10 - 8 / 30])


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="more clicks than impressions"):
        exposure(DAILY.assign(clicks=11))
    with pytest.raises(ValueError, match="a user is in two arms"):
        exposure(DAILY.assign(user=0))
