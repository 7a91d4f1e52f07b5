import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fedctr import simulation
from fedctr.benchmark import bench
from fedctr.errors import FedctrError
from fedctr.grid import work
from fedctr.grid.plan import plan
from fedctr.progress import Silent
from fedctr.run import Run
from fedctr.summary import Result
from tests.application import experiment
from tests.grid.study import STUDY

pytestmark = pytest.mark.usefixtures("small_cache")


class Recorder(Silent):
    """Keeps what is said, and which experiments begin with an estimate of the time left."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.began: list[tuple[int, int, str, bool]] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def experiment(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        self.began.append((number, total, name, seconds_left is not None))


def run(text: str, out: Path) -> tuple[list[work.Outcome], Recorder]:
    recorder = Recorder()
    return work.run(plan(tomllib.loads(text), {"out": out}, Path("study.toml")), recorder), recorder


ONE_MODEL = STUDY.replace(', "ncf[embedding=4]"', "")
Finished = tuple[list[work.Outcome], Recorder, Path]


@pytest.fixture(scope="module")
def finished(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """What came of the study, what was said meanwhile, and its folder, of which tests take copies."""
    out = tmp_path_factory.mktemp("study") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDCTR_CACHE", str(shared_cache))
        return *run(STUDY, out), out


def test_progress_counts_experiments_and_estimates_from_the_first_that_is_done(finished: Finished) -> None:
    outcomes, recorder, _ = finished
    assert recorder.began == [
        (1, 4, "lr on synthetic[users=40]", False),
        (2, 4, "ncf[embedding=4] on synthetic[users=40]", True),
        (3, 4, "lr on synthetic[users=50]", True),
        (4, 4, "ncf[embedding=4] on synthetic[users=50]", True),
    ]
    assert recorder.said == []
    summaries = [outcome.summary for outcome in outcomes]
    assert [summary and summary["users"] for summary in summaries] == [40, 40, 50, 50]


def test_finished_experiments_are_read_and_not_simulated(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Ray as their backend they would take long to start; what is read says nothing of how long work takes."""
    first, _, out = finished
    shutil.copytree(out, tmp_path / "out")

    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("a simulation was started")

    monkeypatch.setattr("fedctr.benchmark.simulate", refuse)
    again, recorder = run(STUDY.replace('"inline"', '"ray"'), tmp_path / "out")
    assert [outcome.summary for outcome in again] == [outcome.summary for outcome in first]
    assert [estimated for *_, estimated in recorder.began] == [False] * 4


@pytest.mark.parametrize("lost", ["summary.json", "users.parquet", "comparison.png"])
def test_a_file_that_is_lost_is_made_again_from_the_cells(lost: str, tmp_path: Path, reference: Result) -> None:
    shutil.copytree(reference.folder, tmp_path / "run")
    (tmp_path / "run" / lost).unlink()
    again, once_more = (bench(experiment(tmp_path / "run")) for _ in range(2))
    assert (reference.reused, again.reused, once_more.reused) == (False, False, True)
    assert (tmp_path / "run" / lost).read_bytes() == (reference.folder / lost).read_bytes()


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_summary_that_cannot_be_read_is_made_again(content: str, tmp_path: Path, reference: Result) -> None:
    shutil.copytree(reference.folder, tmp_path / "run")
    (tmp_path / "run" / "summary.json").write_text(content)
    assert bench(experiment(tmp_path / "run")).summary == reference.summary


def test_an_experiment_that_fails_leaves_the_others_to_run(tmp_path: Path) -> None:
    axes = '[axes]\ncloud.learning_rate = [1e30, 0.001]\nmodel = ["lr"]\n'
    text = 'dataset = "synthetic[users=40]"\n' + STUDY.partition("[axes]")[0] + axes
    outcomes, recorder = run(text, tmp_path / "out")
    assert [bool(outcome.failed) for outcome in outcomes] == [True, False]
    assert outcomes[0].failed == "model lr: training diverged in epoch 1; lower cloud.learning_rate"
    assert recorder.said[0] == f"{outcomes[0].point.name} failed: {outcomes[0].failed}"


def test_a_fault_in_the_program_is_told_of_with_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original: Callable[..., object] = simulation.simulate
    calls = []

    def fail_once(*arguments: object, **more: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of\nmemory")
        return original(*arguments, **more)

    monkeypatch.setattr("fedctr.benchmark.simulate", fail_once)
    outcomes, recorder = run(ONE_MODEL, tmp_path / "out")
    assert [outcome.failed for outcome in outcomes] == ["RuntimeError: out of memory", ""]
    assert recorder.said[0].startswith("Traceback")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('paths.movielens-100k = "nowhere"', "data set movielens-100k: nowhere: no such file or folder; put the"),
        ("", "data set movielens-100k: cannot be fetched; bring its official files and name a folder or an archive"),
    ],
)  # fmt: skip
def test_a_data_set_without_files_is_skipped_with_one_line(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedctr.data.movielens.MovieLens100K.sources", ())
    text = f"{source}\n" + ONE_MODEL.replace('"synthetic[users=40]"', '"movielens-100k"')
    outcomes, recorder = run(text, tmp_path / "out")
    assert [bool(outcome.skipped) for outcome in outcomes] == [True, False]
    assert outcomes[0].skipped.startswith(reason)
    assert recorder.said == [f"skipped: {outcomes[0].skipped}"]
    assert [number for number, *_ in recorder.began] == [2]


def test_a_grid_of_which_nothing_can_be_run_is_an_error(tmp_path: Path) -> None:
    text = '[axes]\ndataset = ["movielens-100k"]\n[paths]\nmovielens-100k = "nowhere"'
    with pytest.raises(FedctrError, match="no experiment of the grid can be run: data set movielens-100k: nowhere: no"):
        run(text, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_another_experiment_is_a_failure_that_names_it(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished[2], tmp_path / "out")
    outcomes, _ = run(STUDY.replace("seeds = 2", "seeds = 1"), tmp_path / "out")
    assert all("holds another run; choose another --out" in outcome.failed for outcome in outcomes)


def test_ctrl_c_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    original = Run.open

    def interrupted(*arguments: object) -> Run:
        opened.append(arguments)
        if len(opened) == 2:
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("fedctr.benchmark.Run.open", interrupted)
    with pytest.raises(KeyboardInterrupt, match=f"1 of 2 experiments .* are kept in {tmp_path}/out; start it again"):
        run(ONE_MODEL, tmp_path / "out")
