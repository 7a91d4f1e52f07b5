"""Sums of each user, counted by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fedctr.errors import FedctrError
from fedctr.online.exposure import drift, exposure, exposures
from tests.online.visits import visits

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


def test_days_are_added_up() -> None:
    days = dict(exposures(DAILY))
    assert list(days) == [0, 1, 3]
    assert days[0]["user"].tolist() == [0, 1]
    assert days[0]["clicks"].tolist() == [2, 0]
    assert days[0]["clicks_before"].tolist() == [4, 0]


def test_each_day_is_the_sum_of_the_rows_up_to_it() -> None:
    daily = visits(0, 200, {"a": 0, "b": 0}, days=5).sample(frac=1, random_state=0)
    for day, users in exposures(daily):
        pd.testing.assert_frame_equal(users, exposure(daily[daily["day"] <= day]))


def test_expected_clicks_are_added_up_with_their_fractions() -> None:
    counted, expected = exposure(DAILY), exposure(DAILY.assign(clicks=DAILY["clicks"] / 8))
    for column in ("clicks", "clicks_before"):
        assert counted[column].dtype == np.int64
        assert expected[column].tolist() == (counted[column] / 8).tolist()


def test_drift_is_of_the_days_before_the_test() -> None:
    # Everybody who came again: 8 clicks of 30; user 1 was shown nothing.
    np.testing.assert_allclose(drift(exposure(DAILY)), [4 / 20 - 8 / 30, np.nan, 4 / 10 - 8 / 30])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"clicks": 11}, "user 0 on day -2 has 11 clicks on 10 impressions; clicks are from 0 to impressions"),
        ({"clicks": -1}, "user 0 on day -2 has -1 clicks on 10 impressions"),
        ({"clicks": np.nan}, "user 0 on day -2 has nan clicks on 10 impressions"),
        ({"user": 7}, "user 7 is in the arms a and b; a user has one arm"),
        ({"user": 7, "arm": "a"}, "user 7 is there twice on day 0; sum the rows of a user and day"),
    ],
)
def test_what_cannot_be_is_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(FedctrError, match=rf"^daily rows: {message}"):
        exposure(DAILY.assign(**columns))


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(FedctrError, match=r"^daily rows: there is no column arm; they need user, arm, day, impre"):
        exposure(DAILY.drop(columns="arm"))
