"""The trackers themselves read what was written for them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fedctr.errors import FedctrError
from fedctr.grid.keep import keep
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.kept.training import FederatedRun
from fedctr.tracking import tracker
from fedctr.tracking.record import Record
from tests.grid.test_tables import outcomes
from tests.kept.folders import write_bench, write_train

Fedctr = Callable[..., tuple[int, str, str]]
ONE = {"no-fine-tuning": [[0.5] * 3] * 2, "label-correction[variant=shift]": [[0.6] * 3] * 2}


# --------------------------------------------------------------------------------- TensorBoard


def test_tensorboard_reads_curves_figures_settings_and_the_headline(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    folder = write_train(tmp_path / "run", [[0.75, 0.5, 0.25]])
    for _ in range(2):  # a second time in the place of the first
        assert tracker.adapter("tensorboard")(Record.of(FederatedRun(folder))) == str(folder / "tensorboard")
    found = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("log_loss/seed 0")] == [(0, 0.75), (1, 0.5), (2, 0.25)]
    assert [event.value for event in found.Scalars("published/auc")] == [0.75]
    content = found.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    settings = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["model"].string_value == "lr"
    (headline,) = found.Tensors("headline/text_summary")
    assert headline.tensor_proto.string_val == [b"validation log loss 0.2500, AUC 0.7500; published: round 2 of 2"]


# -------------------------------------------------------------------------------------- MLflow


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own, with a newer SQLAlchemy
def test_mlflow_reads_what_is_shown_and_keeps_one_run_of_each_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    from mlflow import MlflowClient

    many = {f"key{number}": number for number in range(150)}  # more than MLflow takes at once
    bench = BenchmarkRun(write_bench(tmp_path / "o'clock", ONE, "abc", **many))
    train = FederatedRun(write_train(tmp_path / "train", [[0.75, 0.5]]))
    show = tracker.adapter("mlflow")
    said = [show(Record.of(run)) for run in (bench, bench, train)]
    client = MlflowClient()
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    unfinished, finished = client.search_runs([experiment.experiment_id], order_by=["attributes.run_name DESC"])
    assert said[1] == f"sqlite:///{tmp_path}/mlflow.db, run {finished.info.run_id}"
    assert (finished.info.run_name, finished.info.status) == ("o'clock", "FINISHED")
    assert finished.data.params["key149"] == "149"
    assert finished.data.metrics["label-correction variant shift/vs_no_fine_tuning.low"] == 0.0101
    assert finished.data.tags["fedctr.folder"] == str(tmp_path / "o'clock")
    assert finished.data.tags["mlflow.note.content"].startswith("label-correction[variant=shift] +0.0123 [+0.0101,")
    assert "summary.json" in [file.path for file in client.list_artifacts(finished.info.run_id)]
    assert unfinished.info.status == "RUNNING"
    curve = client.get_metric_history(unfinished.info.run_id, "log_loss/seed 0")
    assert [(point.step, point.value) for point in curve] == [(0, 0.75), (1, 0.5)]


# --------------------------------------------------------------------------------- the command


def test_of_a_grid_every_finished_experiment_is_shown(fedctr: Fedctr, tmp_path: Path) -> None:
    keep(outcomes("model"), tmp_path / "grid")
    write_bench(tmp_path / "grid" / "lr", ONE)
    (write_bench(tmp_path / "grid" / "din", ONE) / "summary.json").unlink()
    code, out, _ = fedctr("track", "grid", "--to", "tensorboard")
    assert code == 0
    assert sorted(out.splitlines()) == [
        "Look at it with: tensorboard --logdir grid",
        "grid/din: left out, not finished: 0 parts kept",
        "grid/lr: grid/lr/tensorboard",
    ]
    assert list((tmp_path / "grid" / "lr" / "tensorboard").iterdir())


def test_what_is_absent_is_named_with_the_extra_that_brings_it(
    fedctr: Fedctr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bench(tmp_path / "run", ONE)
    monkeypatch.setattr(tracker, "find_spec", lambda module: None if module in ("mlflow", "alembic") else module)
    expected = "fedctr: --to mlflow: mlflow, alembic not installed; pip install 'fedctr[mlflow]'\n"
    assert fedctr("track", "run", "--to", "mlflow") == (2, "", expected)


@pytest.mark.parametrize(
    ("name", "hint"), [("mlflw", "did you mean mlflow?"), ("?", "choose among tensorboard, mlflow")]
)
def test_an_unknown_tracker_is_refused(name: str, hint: str) -> None:
    with pytest.raises(FedctrError, match=hint.replace("?", r"\?")):
        tracker.adapter(name)


def test_an_unfinished_benchmark_has_nothing_to_show(fedctr: Fedctr, tmp_path: Path) -> None:
    (write_bench(tmp_path / "run", ONE) / "summary.json").unlink()
    code, _, err = fedctr("track", "run", "--to", "tensorboard")
    assert code == 2
    assert "the benchmark is not finished" in err


def test_looking_at_runs_does_not_wait_for_what_makes_them() -> None:
    slow = {"matplotlib", "mlflow", "pandas", "pyarrow", "scipy", "sqlalchemy", "tensorboard", "torch"}
    program = (
        "import sys, fedctr.cli, fedctr.kept.finding, fedctr.tracking.tracker, fedctr.tracking.record\n"
        f"print(sorted({{name.partition('.')[0] for name in sys.modules}} & {slow}))\n"
        "import fedctr.report.report\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "[]\nFalse\n"
