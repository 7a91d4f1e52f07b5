import importlib.metadata
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fedctr.errors import FedctrError
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.kept.understanding import understood
from tests.kept.folders import write_bench, write_train

Fedctr = Callable[..., tuple[int, str, str]]
ONE = {"no-fine-tuning": [[0.5] * 3] * 2, "label-correction": [[0.6] * 3] * 2}
OURS = importlib.metadata.version("fedctr")


def changed(folder: Path, name: str, **keys: object) -> None:
    """Have a file of a run say something else."""
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


@pytest.mark.parametrize("command", [("export", "run"), ("track", "run", "--to", "tensorboard"), ("report", "run")])
def test_a_run_of_another_version_is_one_line_that_names_it(
    command: tuple[str, ...], fedctr: Fedctr, tmp_path: Path
) -> None:
    folder = write_bench(tmp_path / "run", ONE)
    changed(folder, "summary.json", strategies={spec: {"auc": 0.5} for spec in ONE})
    changed(folder, "identity.json", versions={"fedctr": "9.0"})
    (folder / "users.parquet").unlink()
    code, out, err = fedctr(*command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    if command[0] != "report":  # which reads its users first
        assert err.startswith(f"fedctr: run: was written by fedctr 9.0, and this is {OURS}, which cannot read it (")
        assert err.endswith("look at it with fedctr 9.0, or start the run again with --out run to make it anew\n")


def test_what_this_version_should_have_written_otherwise_is_damaged(tmp_path: Path) -> None:
    folder = write_bench(tmp_path / "run", ONE)
    with (
        pytest.raises(FedctrError, match=r"run: damaged \(there is no 'auc'\); start the run again"),
        understood(folder),
    ):
        raise KeyError("auc")
    changed(folder, "summary.json", strategies=[1])
    with pytest.raises(FedctrError, match=r"summary.json: damaged"):
        _ = BenchmarkRun(folder).summary


def said_otherwise(said: Any) -> Iterator[Any]:
    """A JSON value, and copies of it with another kind of value in the place of one in it."""
    yield from (None, 0.5, "auc", [0.5], {"auc": 0.5})
    items = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, value in items:
        for other in said_otherwise(value):
            copy = dict(said) if isinstance(said, dict) else list(said)
            copy[key] = other
            yield copy


def test_a_value_of_another_kind_is_damage_or_does_no_harm(tmp_path: Path) -> None:
    folder = write_bench(tmp_path / "run", ONE)
    summary = json.loads((folder / "summary.json").read_text())
    one = {"no-fine-tuning": summary["strategies"]["no-fine-tuning"]}
    refused = 0
    for said in said_otherwise(summary | {"strategies": one}):
        (folder / "summary.json").write_text(json.dumps(said))
        run = BenchmarkRun(folder)
        for ask in (run.facts, run.figures, run.curves, run.rows, run.table):
            try:
                with understood(folder):
                    ask()
            except FedctrError:
                refused += 1
    assert refused > 100


WRONG: Any = Path()


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: WRONG.with_name(),
        lambda: WRONG.with_name("a", "b"),
        lambda: WRONG.with_name("a", of="b"),
        lambda: WRONG(),
        lambda: WRONG.nmae,
    ],
)
def test_a_mistake_in_our_code_is_not_called_damage(mistake: Callable[[], object], tmp_path: Path) -> None:
    with pytest.raises((TypeError, AttributeError)), understood(write_bench(tmp_path / "run", ONE)):
        mistake()


def test_a_file_is_told_from_a_folder_that_is_not_there(fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in (("report", "file"), ("runs", "file"), ("export", "file"), ("compare", "file", "file")):
        code, out, err = fedctr(*command)
        assert (code, out) == (2, "")
        assert err.startswith("fedctr: file: is a file, not a folder; ")


def test_a_training_without_a_column_names_it(fedctr: Fedctr, tmp_path: Path) -> None:
    folder = write_train(tmp_path / "run", [[0.7, 0.6, 0.5]])
    (folder / "rounds.csv").write_text("seed,number\n0,1\n")
    expected = "fedctr: run/rounds.csv: damaged, there is no column 'round'\n"
    for command in (("export", "run"), ("compare", "run", "run")):
        assert fedctr(*command) == (2, "", expected)


def test_a_store_of_mlflow_that_cannot_be_had_is_one_line(
    fedctr: Fedctr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nothing://here")
    write_bench(tmp_path / "run", ONE)
    code, out, err = fedctr("track", "run", "--to", "mlflow")
    assert (code, out) == (2, "")
    assert err.startswith("fedctr: MLflow's store nothing://here: ")
    assert err.endswith("; check $MLFLOW_TRACKING_URI\n")
    assert err.count("\n") == 1
