import itertools
from pathlib import Path
from typing import Any

import pytest

from fedctr.config import Experiment
from fedctr.grid.axis import Axis
from fedctr.grid.pictures import _spaced_by_ratio, draw
from fedctr.grid.plan import Point, Sweep
from fedctr.grid.work import Outcome
from fedctr.palette import SERIES

STRATEGIES = ("no-fine-tuning", "fine-tuning", "label-correction", "pairwise", "gap-only", "wrong-direction")


def limits(mean: float) -> dict[str, Any]:
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "users": 30}


def outcomes(*axes: Axis, strategies: tuple[str, ...] = STRATEGIES, summary: bool = True) -> list[Outcome]:
    against = {**limits(0.1), "by_drift": {"0-0.05": limits(0.2), "0.05-0.1": None}}
    entry = {"vs_no_fine_tuning": against, "vs_fine_tuning": against, "diverged": 0}
    found: dict[str, Any] = {"users": 30, "global_ctr": 0.5, "strategies": dict.fromkeys(strategies, entry)}
    points = []
    for labels in itertools.product(*(axis.labels for axis in axes)):
        coordinates = {axis.key: text for axis, text in zip(axes, labels, strict=True)}
        points.append(Point(coordinates, Experiment(strategies=strategies)))
    sweep = Sweep("name", axes, tuple(points))
    return [Outcome(sweep, point, found if summary else None) for point in points]


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ([Axis("epochs", ([1], [2], [4], [8]))], {"name", "name-by-drift"}),
        ([Axis("model", ("lr", "din"))], {"name", "name-by-drift"}),
        ([Axis("model", ("lr",))], {"name", "name-by-drift"}),
        ([Axis("learning_rates", ([0.01], [0.1])), Axis("epochs", ([1], [3]))], {"name"}),
        ([Axis("dataset", ("a", "b")), Axis("model", ("lr", "din")), Axis("epochs", ([1], [3]))], {"name"}),
    ],
)
@pytest.mark.parametrize("strategies", [STRATEGIES[:3], pytest.param(STRATEGIES, marks=pytest.mark.exhaustive)])
def test_a_sweep_has_its_pictures_as_png_and_svg(
    axes: list[Axis], names: set[str], strategies: tuple[str, ...], tmp_path: Path
) -> None:
    made = draw(outcomes(*axes, strategies=strategies), tmp_path)
    assert {file.name for file in made} == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    for file in made:
        start = file.read_bytes()[:5]
        assert start == (b"\x89PNG\r" if file.suffix == ".png" else b"<?xml")


def test_equal_numbers_give_equal_bytes(tmp_path: Path) -> None:
    one, two = (tmp_path / name for name in ("one", "two"))
    for folder in (one, two):
        folder.mkdir()
        draw(outcomes(Axis("epochs", ([1], [2]))), folder)
    for file in one.iterdir():
        assert file.read_bytes() == (two / file.name).read_bytes()


def test_nothing_is_drawn_where_nothing_was_compared(tmp_path: Path) -> None:
    assert draw(outcomes(Axis("epochs", ([1], [2])), summary=False), tmp_path) == []
    assert draw(outcomes(Axis("epochs", ([1], [2])), strategies=("no-fine-tuning",)), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("numbers", "logarithmic"),
    [
        ([0.01, 0.03, 0.1, 0.3], True),
        ([5, 10, 20, 40, 80], True),
        ([1, 2, 4], False),  # too narrow a range to need it
        ([0, 1, 10, 100], False),  # 0 has no logarithm
        ([10, 20, 30, 40, 50, 60, 70, 80], False),
        ([1, 100], False),
    ],
)
def test_a_scale_is_logarithmic_where_the_values_are_spaced_so(numbers: list[float], logarithmic: bool) -> None:
    assert _spaced_by_ratio(numbers) == logarithmic


def test_no_two_strategies_look_alike() -> None:
    assert len({colour for colour, _ in SERIES}) == len({mark for _, mark in SERIES}) == len(SERIES)
