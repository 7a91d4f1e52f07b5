from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fedctr.report.page import Table
from fedctr.report.users import SHOWN, extremes, spread, user_gains
from fedctr.user_rows import TestRows


def rows(published: list[list[float]], tuned: list[list[float]], **columns: Any) -> TestRows:
    """Users with their AUC for each seed, before and after."""
    ones = np.ones_like(np.array(tuned))
    others = {"samples": 9 * ones, "local_samples": 10 * ones, "local_positives": 4 * ones, **columns}
    users = pa.array([f"u{user}" for user in range(len(tuned))])
    return TestRows(
        users,
        {
            "no-fine-tuning": {"auc": np.array(published), **others},
            "label-correction": {"auc": np.array(tuned), **others},
        },
    )


def texts(table: Any) -> list[list[str]]:
    assert isinstance(table, Table)
    return [[cell.text for cell in row] for row in table.rows]


NAN = float("nan")


def test_a_users_gain_is_its_mean_over_seeds() -> None:
    found = user_gains(rows([[0.5, 0.5], [NAN, NAN], [0.9, 0.7]], [[0.6, 0.8], [NAN, NAN], [0.7, 0.7]]))
    assert list(found) == ["label-correction"]
    np.testing.assert_allclose(found["label-correction"], [0.2, NAN, -0.1])


def test_those_who_lose_stay_and_gain_are_counted() -> None:
    figure = spread(rows([[0.5]] * 4 + [[NAN]], [[0.4], [0.5], [0.6], [0.8], [NAN]]))
    assert figure is not None
    assert texts(figure.numbers) == [
        ["label-correction", "25.0%", "25.0%", "50.0%", "-0.0850", "-0.0250", "+0.0500", "+0.1500", "+0.2700"]
    ]


def test_nothing_is_drawn_without_anything_to_compare() -> None:
    alone = rows([[0.5]], [[0.6]])
    del alone.columns["no-fine-tuning"]
    assert spread(alone) is None
    assert extremes(alone, "label-correction", 0.3) is None
    assert spread(rows([[NAN]], [[NAN]])) is None
    assert extremes(rows([[NAN]], [[NAN]]), "label-correction", 0.3) is None


def test_the_most_helped_and_the_most_harmed_are_listed_with_their_local_ctr() -> None:
    none = np.array([[0.0], [10.0], [10.0], [10.0]])
    found = rows([[0.5]] * 4, [[0.25], [0.75], [0.5], [0.625]], local_samples=none, local_positives=none * 0.4)
    section = extremes(found, "label-correction", 0.3)
    assert section is not None
    _, helped, harmed = section.blocks
    assert texts(helped) == [
        ["u1", "0.400", "+0.100", "10", "9", "0.5000", "0.7500", "+0.2500"],
        ["u3", "0.400", "+0.100", "10", "9", "0.5000", "0.6250", "+0.1250"],
    ]
    assert texts(harmed) == [["u0", "-", "-", "0", "9", "0.5000", "0.2500", "-0.2500"]]


@pytest.mark.parametrize("users", [1000, 10_000])
def test_what_is_shown_does_not_grow_with_the_users(users: int) -> None:
    auc = np.random.default_rng(0).random((2, users, 1))
    found = rows(*auc.tolist())
    section, figure = extremes(found, "label-correction", 0.3), spread(found)
    assert section is not None
    assert figure is not None
    assert [len(texts(table)) for table in section.blocks[1:]] == [SHOWN, SHOWN]
    assert figure.svg(1).count("<path") < 30
