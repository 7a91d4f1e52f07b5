from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fedctr.picture import COLOURS, comparison, draw_comparison

Entry = dict[str, Any]


def interval(mean: float, half: float = 0.01) -> Entry:
    return {
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "corrected_low": mean - 2 * half,
        "corrected_high": mean + 2 * half,
    }


def against(mean: float, gauc: float) -> Entry:
    near, far = ({"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "users": users} for users in (70, 30))
    by_drift = {"0-0.05": near, "0.05-0.1": far, "0.1-0.2": None}
    return interval(mean) | {"gauc_impressions_difference": interval(gauc), "by_drift": by_drift}


def summary(**gains: tuple[float, float]) -> Entry:
    """Strategies with a difference in user AUC and in GAUC from either baseline."""
    entries = {
        name.replace("_", "-"): {"vs_no_fine_tuning": against(*gain), "vs_fine_tuning": against(*gain)}
        for name, gain in gains.items()
    }
    return {"model": "lr", "dataset": "world", "seeds": 1, "strategies": entries}


SMALL = summary(no_fine_tuning=(0, 0), fine_tuning=(0.01, 0.01), mine=(0.03, 0.02), yours=(-0.05, 0.03))


def names(axes: Axes) -> list[str]:
    return [text for label in axes.get_yticklabels() if (text := label.get_text())]


def place(mark: Line2D) -> float:
    return float(np.asarray(mark.get_xdata())[0])


def points(axes: Axes, key: str) -> dict[float, bool]:
    """Where the points of a baseline stand on x, and whether they are full."""
    marks = [line for line in axes.lines if line.get_marker() == "o" and line.get_markeredgecolor() == COLOURS[key]]
    return {place(mark): mark.get_markerfacecolor() != "white" for mark in marks}


def test_a_row_for_each_strategy_and_a_column_for_all_users_and_each_drift() -> None:
    overall, near, far, none = comparison(SMALL).axes
    assert [names(axes) for axes in (overall, near, far)] == [["fine-tuning", "mine", "yours"], [], []]
    assert [axes.get_title(loc="left") for axes in (near, far, none)] == [
        "0-0.05: 70 users",
        "0.05-0.1: 30 users",
        "0.1-0.2: 0 users",
    ]
    # A point is full if the corrected interval, which goes 0.02 to either side, leaves out 0.
    assert points(overall, "vs_no_fine_tuning") == {0.01: False, 0.03: True, -0.05: True}
    assert points(overall, "vs_fine_tuning") == {0.03: True, -0.05: True}
    assert points(near, "vs_no_fine_tuning") == {0.01: False, 0.03: True, -0.05: True}
    assert points(near, "vs_fine_tuning") == points(none, "vs_no_fine_tuning") == {}


def test_ranked_it_begins_with_gauc_in_the_order_of_the_table() -> None:
    gauc, overall, *_ = comparison(SMALL, ranked=True).axes
    assert names(gauc) == ["yours", "mine", "fine-tuning"]
    assert list(points(gauc, "vs_no_fine_tuning")) == [0.03, 0.02, 0.01]
    assert list(points(overall, "vs_no_fine_tuning")) == [-0.05, 0.03, 0.01]
    assert gauc.get_xlim() == overall.get_xlim()


def test_what_would_squeeze_all_others_is_cut_off_with_an_arrow() -> None:
    gains = {f"s{index}": (0.01, 0.01) for index in range(18)}
    overall, near, *_ = comparison(summary(no_fine_tuning=(0, 0), wild=(-0.4, -0.4), **gains)).axes
    for axes, upper_quartile in ((overall, 0.03), (near, 0.02)):
        left, right = axes.get_xlim()
        assert -4 * upper_quartile < left < -3 * upper_quartile
        assert right > upper_quartile
        arrows = {(line.get_marker(), place(line)) for line in axes.lines if line.get_marker() in ("<", ">")}
        assert arrows == {("<", left)}
    assert len(names(overall)) == 19


@pytest.mark.parametrize("alone", ["no_fine_tuning", "mine"])
def test_nothing_to_compare_is_a_picture_too(alone: str, tmp_path: Path) -> None:
    bare = summary(**{alone: (0.0, 0.0)})
    bare["strategies"][alone.replace("_", "-")] = {"vs_no_fine_tuning": None, "vs_fine_tuning": None}
    draw_comparison(bare, tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
