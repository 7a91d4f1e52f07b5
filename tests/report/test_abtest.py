"""The report of an A/B test in which one arm is far better."""

from pathlib import Path

import pytest

from fedctr.kept.abtest import ABTestRun
from fedctr.report.abtest import of_abtest
from fedctr.report.page import Figure, Report, Table, render
from tests.kept.folders import write_abtest
from tests.kept.test_abtest import LIFTS
from tests.online.visits import visits

PAIRS = ["fine-tuning vs no-fine-tuning", "label-correction vs no-fine-tuning", "label-correction vs fine-tuning"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ABTestRun:
    return ABTestRun(write_abtest(tmp_path_factory.mktemp("report") / "run", visits(0, 3000, LIFTS, days=3)))


@pytest.fixture(scope="module")
def report(run: ABTestRun) -> Report:
    return of_abtest(run)


def numbers(report: Report, name: str) -> list[list[str]]:
    """The cells below a figure."""
    (figure,) = (figure for figure in report.figures if figure.name == name)
    return [[cell.text for cell in row] for row in figure.numbers.rows]


def test_it_answers_from_the_top_down(report: Report) -> None:
    assert report.answer.startswith("label-correction raises CTR against no-fine-tuning: +")
    assert [section.title for section in report.sections] == [
        "What the test says",
        "How large the lifts are",
        "Day by day",
        "Who gains",
        "What it costs a device",
        "How it was made",
    ]
    table = report.sections[0].blocks[-1]
    assert isinstance(table, Table)
    assert [row[0].text for row in table.rows] == list(LIFTS)
    assert table.rows[2][4].text.endswith("]*")


def test_what_an_arm_costs_a_device_stands_beside(report: Report) -> None:
    (table,) = report.sections[4].blocks
    assert isinstance(table, Table)
    assert [cell.text for cell in table.rows[1]] == [
        "fine-tuning",
        "40",
        "2.0 ms",
        "3.0 M",
        "50.0 kB",
        "2.0 kB",
        "0.0 kB",
    ]
    assert table.rows[1][2].value == 0.002


def test_every_figure_is_drawn_and_has_its_numbers(report: Report, run: ABTestRun) -> None:
    page = render([report], "a test")
    assert page.count("<figure") == len(report.figures) == 5
    lifts = numbers(report, "lifts")
    assert [row[0] for row in lifts[::2]] == PAIRS
    assert [row[-1] for row in lifts[2:4]] == ["shown better"] * 2
    assert len(numbers(report, "daily-ctr")) == 10 * 3
    last = numbers(report, "lift-so-far")[-1]
    assert last[:2] == ["2", PAIRS[2]]
    assert last[2] == format(run.summary["lifts"][2]["ctr"]["mean"], "+.2%")
    assert [row[1] for row in numbers(report, "lifts-by-drift")][:4] == ["0-0.05", "0.05-0.1", "0.1-0.2", "0.2-1"]


def test_without_limits_the_daily_ctr_alone_is_drawn(tmp_path: Path) -> None:
    report = of_abtest(ABTestRun(write_abtest(tmp_path / "run", visits(0, 100, LIFTS, days=3))))
    assert [figure.name for figure in report.figures] == ["daily-ctr"]
    assert isinstance(report.sections[1].blocks[0], Figure)
    assert [section.title for section in report.sections[1:3]] == ["Day by day", "What it costs a device"]
