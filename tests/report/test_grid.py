from pathlib import Path
from typing import Any

import pytest

from fedctr.config import Experiment
from fedctr.errors import FedctrError
from fedctr.grid.axis import Axis
from fedctr.grid.keep import keep
from fedctr.grid.plan import Point, Sweep
from fedctr.grid.work import Outcome
from fedctr.kept.grid import GridRun
from fedctr.report.grid import of_grid
from fedctr.report.page import Listing, Picture, Table, render

STRATEGIES = ("no-fine-tuning", "fine-tuning", "label-correction")


def limits(mean: float) -> dict[str, Any]:
    found = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "users": 30, "seeds": 1}
    return {**found, "corrected_low": mean - 0.02, "corrected_high": mean + 0.02}


def against(mean: float) -> dict[str, Any]:
    return {**limits(mean), "by_drift": {"0-0.05": limits(mean)}}


def outcome(sweep: Sweep, point: Point, gain: float) -> Outcome:
    """An experiment in which label correction gains so much over either baseline, and fine-tuning nothing."""
    metrics = {"auc_user_mean": 0.6, "gauc_impressions": 0.7, "users_covered": 30, "diverged": 0}
    entries = {
        spec: {**metrics, "vs_no_fine_tuning": against(mean), "vs_fine_tuning": against(mean)}
        for spec, mean in zip(STRATEGIES, (0.0, 0.0, gain), strict=True)
    }
    return Outcome(sweep, point, {"users": 40, "global_ctr": 0.5, "strategies": entries})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four values of one axis: correction is shown better, perhaps better, not shown; the last data set is absent."""
    out = tmp_path_factory.mktemp("grid")
    axis = Axis("epochs", ([1], [2], [3], [4]))
    points = tuple(
        Point({"epochs": label}, Experiment(strategies=STRATEGIES, seeds=1, model="lr", out=out / label))
        for label in axis.labels
    )
    sweep = Sweep("steps", (axis,), points)
    outcomes = [outcome(sweep, point, gain) for point, gain in zip(points, (0.05, 0.015, 0.005), strict=False)]
    keep([*outcomes, Outcome(sweep, points[3], skipped="its files are absent")], out)
    return out


def texts(table: Any) -> list[list[str]]:
    assert isinstance(table, Table)
    return [[cell.text for cell in row] for row in table.rows]


def test_verdicts_are_counted_over_the_experiments(folder: Path) -> None:
    report = of_grid(GridRun(folder))
    assert report.answer == (
        "label-correction, change in user AUC: against no fine-tuning shown better in 1, perhaps better in 1, not "
        "shown in 1 of 3 experiments; against plain fine-tuning shown better in 1, perhaps better in 1, not shown in 1 "
        "of 3 experiments. 1 was skipped."
    )
    assert texts(report.sections[0].blocks[1]) == [
        ["fine-tuning", "no fine-tuning", "0", "0", "3", "0", "0"],
        ["label-correction", "no fine-tuning", "1", "1", "1", "0", "0"],
        ["label-correction", "plain fine-tuning", "1", "1", "1", "0", "0"],
    ]


def test_a_sweep_has_its_pictures_every_number_and_what_was_not_run(folder: Path) -> None:
    section = of_grid(GridRun(folder)).sections[1]
    assert section.title == "steps"
    along, by_drift, table, left_out = section.blocks
    assert isinstance(along, Picture)
    assert isinstance(by_drift, Picture)
    assert texts(table)[2] == [
        *("label-correction", "1", "0.6000", "+0.0500 [+0.0400, +0.0600]*", "+0.0500 [+0.0400, +0.0600]*"),
        *("0.7000", "30", "1"),
    ]
    assert texts(left_out) == [[str(folder / "4"), "its files are absent"]]


def test_its_page_has_pictures_in_the_colours_of_the_page(folder: Path) -> None:
    page = render([of_grid(GridRun(folder))], "a test")
    pictures = [part.partition("</svg>")[0] for part in page.split("<svg")[1:]]
    assert len(pictures) == 2
    assert all("var(--blue)" in picture and "#ffffff" not in picture for picture in pictures)


def test_its_configuration_is_shown_where_the_folder_keeps_it(folder: Path) -> None:
    def listed() -> list[str]:
        return [block.text for block in of_grid(GridRun(folder)).sections[-1].blocks if isinstance(block, Listing)]

    assert listed() == []
    (folder / "config.toml").write_text("seeds = 1\n")
    assert listed() == ["seeds = 1\n"]


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("folder,status,dataset,model\na,done,b,lr\n")
    with pytest.raises(FedctrError, match=r"table.csv: damaged"):
        of_grid(GridRun(tmp_path))
