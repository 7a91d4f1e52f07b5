import csv
import io
from pathlib import Path
from typing import Any

import pytest

from fedctr.config import Experiment
from fedctr.grid import tables
from fedctr.grid.axis import Axis
from fedctr.grid.plan import Point, Sweep
from fedctr.grid.rows import rows
from fedctr.grid.work import Outcome
from tests.test_result_table import entry, summary

STRATEGIES = ("no-fine-tuning", "fine-tuning")


def outcomes(*keys: str, name: str = "grid", **first: Any) -> list[Outcome]:
    """Two values on every axis; the first experiment ends as told, the others are done."""
    values = {"dataset": ("a_b", "c"), "model": ("lr", "din"), "epochs": ([1], [3])}
    axes = tuple(Axis(key, values[key]) for key in keys)
    places: list[dict[str, Any]] = [{}]
    for axis in axes:
        places = [{**place, axis.key: value} for place in places for value in axis.values]
    points = []
    for place in places:
        coordinates = {key: value if isinstance(value, str) else str(value[0]) for key, value in place.items()}
        out = Path("out", *coordinates.values())
        points.append(Point(coordinates, Experiment.of({**place, "strategies": STRATEGIES, "seeds": 2, "out": out})))
    sweep = Sweep(name, axes, tuple(points))
    done = {
        "users": 9,
        "global_ctr": 0.5,
        "strategies": {strategy: entry(tuned={"epochs": 3}) for strategy in STRATEGIES},
    }
    return [
        Outcome(sweep, point, **(first if first and not index else {"summary": done}))
        for index, point in enumerate(points)
    ]


def lines(text: str, start: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip().startswith(start)]


FIGURES = ["0.7001", "0.7000", "+0.0123", "[+0.0101,", "+0.0149]*", "819", "2"]


def test_rows_go_by_experiment_and_strategy_and_repeat_no_axis() -> None:
    text = tables.text(outcomes("dataset", "model"))
    assert lines(text, "data")[0][:5] == ["data", "set", "model", "strategy", "user"]
    assert lines(text, "a_b")[0][:3] == ["a_b", "lr", "no-fine-tuning"]
    assert lines(text, "fine-tuning") == [["fine-tuning", *FIGURES]] * 4
    assert [line[1] for line in lines(text, "din")] == ["no-fine-tuning"] * 2
    assert len(lines(text, "a_b")) == 1


def test_one_model_on_one_data_set_is_in_the_title_and_other_axes_are_columns() -> None:
    text = tables.text(outcomes("epochs", name="longer"))
    assert text.splitlines()[0] == "longer: din on movielens-100k"
    assert lines(text, "1 ")[0][:2] == ["1", "no-fine-tuning"]


def test_every_sweep_has_a_table_of_its_own() -> None:
    both = [*outcomes("epochs", name="longer"), *outcomes("model", name="wider")]
    for write in (tables.text, tables.markdown, tables.latex):
        said = write(both)
        assert said.index("longer: din on") < said.index("wider: on movielens-100k")
    assert tables.latex(both).count("\\begin{tabular}") == 2


@pytest.mark.parametrize(("key", "became"), [("failed", "failed"), ("skipped", "skipped")])
def test_what_was_not_run_is_one_row_with_its_reason_below(key: str, became: str) -> None:
    found = outcomes("model", **{key: "no such file"})
    text = tables.text(found)
    assert lines(text, "lr ")[0] == ["lr", became]
    verb = "was skipped" if key == "skipped" else "failed"
    assert f"lr on movielens-100k {verb}: no such file" in text.splitlines()
    assert [(row["status"], row["reason"]) for row in rows(found)] == [
        *[(became, "no such file")] * 2,
        *[("done", "")] * 2,
    ]


def test_a_strategy_that_failed_alone_is_marked_in_its_row() -> None:
    half = {"users": 9, "global_ctr": 0.5, "strategies": {"no-fine-tuning": entry()}}
    text = tables.text(outcomes("model", summary=half, failed="fine-tuning: NaN"))
    assert lines(text, "fine-tuning")[0] == ["fine-tuning", "failed"]
    assert "lr on movielens-100k failed: fine-tuning: NaN" in text


def test_models_that_diverged_are_told_of() -> None:
    some = {"users": 9, "global_ctr": 0.5, "strategies": {"fine-tuning": entry(diverged=1200)}}
    text = tables.text(outcomes("model", summary=some))
    assert "lr on movielens-100k: models that diverged count as AUC 0.5: fine-tuning (1,200)" in text.splitlines()


def test_markdown_is_a_table_with_a_star_that_stays_a_star() -> None:
    said = tables.markdown(outcomes("model")).splitlines()
    assert said[2:4] == [
        "| model | strategy | user AUC | GAUC | vs no-fine-tuning | vs fine-tuning | users | seeds |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    assert said[5] == "|  | fine-tuning | 0.7001 | 0.7000 | +0.0123 [+0.0101, +0.0149]\\* |  | 819 | 2 |"


def test_latex_escapes_what_it_would_read_as_commands() -> None:
    said = tables.latex(outcomes("dataset"))
    assert "a\\_b & no-fine-tuning & 0.7001 &" in said
    assert "+0.0123 {[}+0.0101, +0.0149]* &" in said
    for line in said.splitlines():
        assert line.endswith("\\\\") == ("&" in line)
    assert said.count("\\begin") == said.count("\\end") == 1


def test_csv_holds_every_number_unrounded_and_axes_apart_from_results() -> None:
    """An axis may be called like a result: epochs, for one."""
    found = list(csv.DictReader(io.StringIO(tables.comma_separated(outcomes("epochs")))))
    assert [row["axis.epochs"] for row in found] == ["1", "1", "3", "3"]
    expected = entry()
    for row in found:
        assert float(row["auc_user_mean"]) == expected["auc_user_mean"]
        assert float(row["vs_fine_tuning.corrected_high"]) == expected["vs_fine_tuning"]["corrected_high"]
        assert row["epochs"] == str(expected["epochs"])
        assert row["tuned.epochs"] == "3"
        assert "validation" not in row


def test_the_summary_of_the_other_table_still_fits() -> None:
    """Both tables are tested with the same entries."""
    assert summary(pairwise=entry())["strategies"]["pairwise"] == entry()
