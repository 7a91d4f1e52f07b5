from typing import Any

import pytest

from fedctr.grid.axis import Axis, label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("din[embedding=4]", "din[embedding=4]"),
        (0.10, "0.1"),
        (1e-05, "1e-05"),
        (10, "10"),
        (True, "true"),
        ([0.01], "0.01"),
        ([0.03, 0.1], "0.03,0.1"),
        ({"window": "earlier", "test": 0.2}, "window=earlier,test=0.2"),
    ],
)
def test_a_value_in_words(value: Any, text: str) -> None:
    assert label(value) == text


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ([10, 30], [10, 30]),
        ([[0.01], [0.1]], [0.01, 0.1]),
        (["synthetic[drift=0,users=9]", "synthetic[users=9,drift=1.5]"], [0, 1.5]),
        ([[0.01], [0.1, 0.3]], None),
        (["lr", "din"], None),
        ([True, False], None),
        (["synthetic[drift=0]", "synthetic[drift=1,users=9]"], None),  # two options differ
        (["synthetic", "synthetic[drift=1]"], None),  # the default is the loader's affair
        (["din[embedding=4]", "ncf[embedding=8]"], None),
        (["synthetic[", "b"], None),
    ],
)
def test_places_on_a_line(values: list[Any], numbers: list[float] | None) -> None:
    axis = Axis("dataset", tuple(values))
    assert axis.numbers == numbers
    assert axis.short_labels == ([f"{number:g}" for number in numbers] if numbers else axis.labels)


def test_a_title_says_what_is_measured_in_which_unit() -> None:
    assert Axis("dataset", ("synthetic[drift=0]", "synthetic[drift=1]")).title == (
        "synthetic: sd of the user intercepts, log-odds"
    )
    assert Axis("model", ("din[embedding=4]", "din[embedding=8]")).title == "din: embedding"
    assert Axis("local.most", (10, 20)).title == "local samples per user, at most"
    assert Axis("cloud.weight_decay", (0.0, 0.1)).title == "cloud: weight decay"
