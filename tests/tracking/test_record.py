import json
from pathlib import Path

from fedctr.kept.finding import kept_run
from fedctr.kept.run import SingleRun
from fedctr.summary import Result
from fedctr.tracking.record import Record
from tests.kept.folders import write_bench, write_train
from tests.test_result_table import entry

ONE = {"no-fine-tuning": [[0.5] * 3] * 2, "pairwise": [[0.6] * 3] * 2}


def record(folder: Path) -> Record:
    run = kept_run(folder)
    assert isinstance(run, SingleRun)
    return Record.of(run)


def test_a_benchmark_is_its_metrics_and_its_differences_with_their_limits(tmp_path: Path) -> None:
    found = record(write_bench(tmp_path / "run", ONE, cloud={"epochs": 3}))
    usual = entry()
    assert found.figures["pairwise/auc_user_mean"] == usual["auc_user_mean"]
    assert found.figures["pairwise/vs_no_fine_tuning.low"] == usual["vs_no_fine_tuning"]["low"]
    assert not any(name.startswith("pairwise/vs_fine_tuning") for name in found.figures)  # that was not run
    assert found.settings["cloud.epochs"] == "3"
    assert found.facts == {"kind": "bench", "dataset": "movielens-100k", "model": "lr"}
    assert "| pairwise | 0.1 x 3 | 0.7001 |" in found.table
    assert [file.name for file in found.files] == ["config.toml", "summary.json", "log.txt"]


def test_the_curves_of_a_benchmark_are_those_of_the_cloud_and_of_validation(reference: Result) -> None:
    """Two epochs in the cloud for each of two seeds; two learning rates with one and two epochs of fine-tuning."""
    found = record(reference.folder)
    assert {name: [step for step, _ in curve] for name, curve in found.curves.items() if "cloud" in name} == {
        f"cloud {name}/seed {seed}": [1, 2] for name in ("log_loss", "auc") for seed in (0, 1)
    }
    tried = {
        (float(name.rpartition(" ")[2]), step, value)
        for name, curve in found.curves.items()
        for step, value in curve
        if name.startswith("validation fine-tuning/learning rate ")
    }
    assert tried == {
        (trial["learning_rate"], trial["epochs"], trial["auc_user_mean"])
        for trial in reference.summary["strategies"]["fine-tuning"]["validation"]
    }
    assert not any(name.startswith("by_") or ".by_" in name for name in found.figures)


def test_the_curves_of_a_benchmark_of_a_federated_model_are_by_round_from_the_untrained_one_on(tmp_path: Path) -> None:
    folder = write_bench(tmp_path / "run", ONE)
    (folder / "published/seed-0").mkdir(parents=True)
    facts = {"best_round": 2, "validation": [{"log_loss": value} for value in (0.75, 0.5, 0.25)]}
    (folder / "published/seed-0/published.json").write_text(json.dumps(facts))
    curves = record(folder).curves
    assert {name: curve for name, curve in curves.items() if name.endswith("seed 0")} == {
        "federated log_loss/seed 0": [(0, 0.75), (1, 0.5), (2, 0.25)]
    }


def test_a_training_is_its_published_rounds_and_the_curves_of_every_seed(tmp_path: Path) -> None:
    found = record(write_train(tmp_path / "run", [[0.75, 0.5, 0.25], [0.75, 0.5]]))
    assert found.figures == {"published/log_loss": 0.375, "published/auc": 0.625, "published/round": 1.5}
    assert found.curves["log_loss/seed 0"] == [(0, 0.75), (1, 0.5), (2, 0.25)]
    assert found.curves["auc/seed 1"] == [(0, 0.25), (1, 0.5)]
    assert not found.finished
