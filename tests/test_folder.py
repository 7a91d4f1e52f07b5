from pathlib import Path
from typing import Any

import pytest

from fedctr.benchmark import bench
from fedctr.errors import FedctrError
from fedctr.progress import Silent
from fedctr.run import Run
from tests.application import experiment, files

pytestmark = pytest.mark.usefixtures("small_cache")


def open_run(out: Path, **keys: Any) -> Run:
    return Run.open(experiment(out, **keys), Silent())


def test_a_folder_that_another_process_is_at_work_on_is_refused_and_left_alone(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run")
    half_written = [run.stop_file, run.folder / ".config.toml.part", run.folder / ".identity.json.part"]
    for file in half_written:
        file.touch()
    with pytest.raises(FedctrError, match="/run: another process is at work on it; wait until it ends, or choose"):
        open_run(tmp_path / "run")
    assert all(file.exists() for file in half_written)
    run.leave()
    open_run(tmp_path / "run")


def test_of_two_runs_that_begin_at_once_in_an_empty_folder_one_is_refused(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run")
    for file in files(tmp_path / "run"):  # the other one has nothing there yet but its lock
        (run.folder / file).unlink()
    (run.folder / "cells").rmdir()
    with pytest.raises(FedctrError, match="another process is at work"):
        open_run(tmp_path / "run", seeds=2)


def test_a_run_that_cannot_begin_or_fails_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    open_run(folder).leave()
    (folder / "cells").rmdir()
    (folder / "cells").touch()
    with pytest.raises(FedctrError, match="cells: cannot be written") as first:
        open_run(folder)
    (folder / "cells").unlink()
    monkeypatch.setattr("fedctr.benchmark.simulate", lambda *args, **keys: 1 / 0)
    with pytest.raises(ZeroDivisionError) as second:
        bench(experiment(folder))
    assert all((first.tb, second.tb))  # whose frames still hold both runs
    open_run(folder)
