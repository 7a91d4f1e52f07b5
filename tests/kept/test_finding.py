import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from fedctr.errors import FedctrError
from fedctr.grid.keep import keep
from fedctr.kept.finding import kept_run, runs_below
from fedctr.summary import Result
from tests.grid.test_tables import outcomes
from tests.kept.folders import write_bench, write_claim, write_train

Fedctr = Callable[..., tuple[int, str, str]]
ONE = {"no-fine-tuning": [[0.5] * 3] * 2, "label-correction": [[0.6] * 3] * 2}


def test_a_benchmark_is_headed_by_the_gain_of_label_correction(tmp_path: Path) -> None:
    run = kept_run(write_bench(tmp_path / "run", ONE))
    assert run.facts() == {
        "folder": str(tmp_path / "run"),
        "kind": "bench",
        "date": "2026-11-24 09:10:11",
        "dataset": "movielens-100k",
        "model": "lr",
        "finished": True,
        "headline": "label-correction +0.0123 [+0.0101, +0.0149]* against no-fine-tuning",
    }


def test_what_bench_itself_has_written_is_read(reference: Result) -> None:
    run = kept_run(reference.folder)
    assert run.finished
    assert run.dataset == "synthetic[users=50]"
    assert run.headline().startswith("label-correction[variant=shift] ")
    assert datetime.fromtimestamp(0) < run.date <= datetime.now()


@pytest.mark.parametrize(
    ("strategy", "headline"),
    [
        ("fine-tuning", "fine-tuning: user AUC 0.7001"),
        ("no-fine-tuning", "no fine-tuning alone, so nothing was compared"),
    ],
)
def test_without_a_baseline_there_is_no_gain(strategy: str, headline: str, tmp_path: Path) -> None:
    folder = write_bench(tmp_path / "run", {strategy: [[0.5] * 3]})
    assert kept_run(folder).headline() == headline


def test_a_benchmark_that_was_stopped_says_what_is_kept(tmp_path: Path) -> None:
    folder = write_bench(tmp_path / "run", ONE)
    (folder / "summary.json").unlink()
    (folder / "cells" / "test-pairwise-seed0.parquet").touch()
    run = kept_run(folder)
    assert not run.finished
    assert run.headline() == "not finished: 1 part kept"


def test_a_training_is_headed_by_its_published_rounds(tmp_path: Path) -> None:
    """Round 0 is the untrained model, which is not published even if it is the best."""
    run = kept_run(write_train(tmp_path / "run", [[0.1, 0.6, 0.5], [0.7, 0.4, 0.5]]))
    assert run.kind == "train"
    assert run.finished
    assert run.headline() == "validation log loss 0.4500, AUC 0.5500; published: round 2, 1 of 2"


def test_a_training_that_was_stopped_says_how_far_it_came(tmp_path: Path) -> None:
    run = kept_run(write_train(tmp_path / "run", [[0.7, 0.6, 0.5], [0.7, 0.4]]))
    assert run.headline() == "not finished: 3 of 4 rounds of 2 seeds"


def test_a_grid_is_one_run_and_its_own_folder_holds_its_experiments(tmp_path: Path) -> None:
    found = outcomes("model", failed="NaN")
    keep(found, tmp_path / "grid")
    write_bench(tmp_path / "grid" / "lr", ONE)
    write_train(tmp_path / "deeper" / "still", [[0.7, 0.6]])
    assert [(run.kind, run.folder.name) for run in runs_below(tmp_path)] == [("grid", "grid"), ("train", "still")]
    (grid,) = [run for run in runs_below(tmp_path) if run.kind == "grid"]
    assert (grid.dataset, grid.model, grid.finished) == ("movielens-100k", "lr, din", False)
    assert grid.headline() == ("experiments: 1 done, 1 failed; fine-tuning against no-fine-tuning: shown better in 1")
    assert [run.folder.name for run in runs_below(tmp_path / "grid")] == ["lr"]
    assert [run.folder.name for run in runs_below(tmp_path / "grid" / "lr")] == ["lr"]


def test_the_newest_comes_first_by_its_log_and_one_without_by_its_files(tmp_path: Path) -> None:
    write_bench(tmp_path / "old", ONE)
    write_train(tmp_path / "new", [[0.7]])
    (tmp_path / "old" / "log.txt").write_text("2026-01-31 23:59:59 begun\n")
    (tmp_path / "new" / "log.txt").unlink()
    runs = runs_below(tmp_path)
    assert [run.folder.name for run in runs] == ["new", "old"]
    assert runs[1].date == datetime(2026, 1, 31, 23, 59, 59)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    write_claim(tmp_path / "begun", {"dataset": "a"}, {})
    for folder, fault in ((tmp_path / "begun", "is not the folder of a run"), (tmp_path / "no", "no such folder")):
        with pytest.raises(FedctrError, match=f"{folder}: {fault}; `fedctr runs` lists those below runs/"):
            kept_run(folder)
    with pytest.raises(FedctrError, match="no such folder; name one that holds run folders"):
        runs_below(tmp_path / "no")


# ------------------------------------------------------------------------------------- the command


def test_runs_are_listed_and_a_damaged_one_hides_no_other(fedctr: Fedctr, tmp_path: Path) -> None:
    write_bench(tmp_path / "runs" / "good", ONE)
    damaged = write_bench(tmp_path / "runs" / "bad", ONE)
    (damaged / "summary.json").write_text("{}")
    code, out, err = fedctr("runs")
    assert (code, err) == (0, "")
    lines = {words[0]: words for words in map(str.split, out.splitlines()) if words}
    assert lines["runs/good"][1:6] == ["bench", "2026-11-24", "09:10", "movielens-100k", "lr"]
    assert "+0.0123 [+0.0101, +0.0149]* against no-fine-tuning" in out
    assert "damaged: runs/bad/summary.json: damaged; start the run again with --out runs/bad" in out
    code, out, _ = fedctr("runs", "--json")
    assert [(run["folder"], run["finished"]) for run in json.loads(out)] == [("runs/bad", False), ("runs/good", True)]


def test_where_there_is_no_run_it_says_so(fedctr: Fedctr, tmp_path: Path) -> None:
    assert fedctr("runs") == (2, "", "fedctr: runs: no such folder; name one that holds run folders\n")
    (tmp_path / "runs").mkdir()
    assert fedctr("runs") == (0, "no run below runs\n", "")
