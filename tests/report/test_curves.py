import json
from pathlib import Path
from typing import Any

import pytest

from fedctr.kept.benchmark import BenchmarkRun
from fedctr.report.curves import tuning
from fedctr.report.page import Figure

MEASURED = [{"log_loss": 0.75, "auc": 0.5}, {"log_loss": 0.25, "auc": 0.625}]


def run(folder: Path, facts: dict[str, Any] | None, config: str = "") -> BenchmarkRun:
    """A benchmark with one seed whose published model comes with these facts."""
    if facts:
        (folder / "published/seed-0").mkdir(parents=True)
        (folder / "published/seed-0/published.json").write_text(json.dumps(facts))
    (folder / "config.toml").write_text(config)
    (folder / "summary.json").write_text(json.dumps({"seeds": 1, "strategies": {}}))
    return BenchmarkRun(folder)


@pytest.mark.parametrize("config", ["", 'published = "runs/another"'], ids=["its own", "borrowed"])
@pytest.mark.parametrize(
    ("facts", "step", "numbers"),
    [({"best_epoch": 2}, "epoch", ["1", "2"]), ({"best_round": 1}, "round", ["0", "1"])],
    ids=["cloud", "federated"],
)
def test_a_global_model_is_shown_by_the_steps_that_its_maker_took(
    facts: dict[str, Any], step: str, numbers: list[str], config: str, tmp_path: Path
) -> None:
    section = tuning(run(tmp_path, {**facts, "validation": MEASURED}, config))
    assert section is not None
    (figure,) = section.blocks
    assert isinstance(figure, Figure)
    assert figure.caption == f"One line for each seed; marked: the {step} whose model is published."
    assert figure.numbers.columns == ("seed", step, "log loss", "AUC of all samples together")
    assert [[cell.text for cell in row] for row in figure.numbers.rows] == [
        ["0", numbers[0], "0.7500", "0.5000"],
        ["0", numbers[1], "0.2500", "0.6250"],
    ]


@pytest.mark.parametrize("facts", [None, {"model": "lr"}], ids=["no file", "no curve"])
def test_where_no_training_is_kept_nothing_is_shown(facts: dict[str, Any] | None, tmp_path: Path) -> None:
    assert tuning(run(tmp_path, facts)) is None
