import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from fedctr.errors import FedctrError
from fedctr.grid.keep import keep
from fedctr.kept.finding import kept_run
from tests.grid.test_tables import outcomes
from tests.kept.folders import write_bench, write_train
from tests.test_result_table import entry

Fedctr = Callable[..., tuple[int, str, str]]
ONE = {"no-fine-tuning": [[0.5] * 3] * 2, "a_b|c": [[0.6] * 3] * 2}


def test_a_benchmark_as_markdown_is_the_table_that_bench_prints(tmp_path: Path) -> None:
    lines = kept_run(write_bench(tmp_path / "run", ONE)).export("markdown").splitlines()
    assert lines[0] == ("**lr on movielens-100k, global CTR 0.500, 2 seeds; 819 of 3 users have both classes in test**")
    assert lines[2:4] == [
        "| strategy | tuned with | user AUC | GAUC | log loss | harmed | vs no-fine-tuning | vs fine-tuning |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    assert lines[5] == "| a_b\\|c | 0.1 x 3 | 0.7001 | 0.7000 | 0.5000 | 25% | +0.0123 [+0.0101, +0.0149]\\* |  |"
    assert lines[-1].endswith("\\* excludes 0 after correction for all comparisons made.")


def test_a_benchmark_as_latex_escapes_what_latex_would_read_as_commands(tmp_path: Path) -> None:
    said = kept_run(write_bench(tmp_path / "run", ONE)).export("latex")
    assert "\\begin{tabular}{llrrrrrr}" in said
    assert "a\\_b|c & 0.1 x 3 & 0.7001 & 0.7000 & 0.5000 & 25\\% & +0.0123 {[}+0.0101, +0.0149]* &  \\\\" in said


def test_a_benchmark_as_csv_has_every_number_unrounded(tmp_path: Path) -> None:
    (first, second) = csv.DictReader(io.StringIO(kept_run(write_bench(tmp_path / "run", ONE)).export("csv")))
    assert [first["strategy"], second["strategy"]] == [*ONE]
    assert (second["model"], second["users"], second["global_ctr"]) == ("lr", "3", "0.5")
    assert float(second["auc_user_mean"]) == entry()["auc_user_mean"]
    assert float(second["vs_no_fine_tuning.corrected_high"]) == entry()["vs_no_fine_tuning"]["corrected_high"]


def test_a_training_has_a_line_for_each_seed_and_its_csv_every_round(tmp_path: Path) -> None:
    run = kept_run(write_train(tmp_path / "run", [[0.1, 0.6, 0.5], [0.7, 0.4, 0.5]]))
    assert run.export("markdown").splitlines()[2:6] == [
        "| seed | round | log loss | AUC |",
        "| ---: | ---: | ---: | ---: |",
        "| 0 | 2 | 0.5000 | 0.5000 |",
        "| 1 | 1 | 0.4000 | 0.6000 |",
    ]
    rows = list(csv.DictReader(io.StringIO(run.export("csv"))))
    assert [(row["seed"], row["round"]) for row in rows] == [(seed, number) for seed in "01" for number in "012"]


@pytest.mark.parametrize(("form", "file"), [("csv", "table.csv"), ("markdown", "table.md"), ("latex", "table.tex")])
def test_a_grid_has_the_tables_that_it_wrote_itself(form: str, file: str, fedctr: Fedctr, tmp_path: Path) -> None:
    keep(outcomes("model"), tmp_path / "grid")
    assert fedctr("export", "grid", "--format", form) == (0, (tmp_path / "grid" / file).read_text(), "")


def test_what_cannot_be_exported_is_one_line(fedctr: Fedctr, tmp_path: Path) -> None:
    folder = write_bench(tmp_path / "run", ONE)
    unknown = "fedctr: --format: unknown format 'markdwn'; did you mean markdown?\n"
    assert fedctr("export", "run", "--format", "markdwn") == (2, "", unknown)
    assert fedctr("export", "run", "--format", "?")[2].endswith("choose among csv, markdown, latex\n")
    (folder / "summary.json").unlink()
    with pytest.raises(FedctrError, match="not finished"):
        kept_run(folder).export("markdown")
