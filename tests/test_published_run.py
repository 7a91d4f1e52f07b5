"""Models that one run has published, personalised by another."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fedctr.benchmark import bench
from fedctr.cloud import CloudTraining
from fedctr.data.split import Fractions
from fedctr.errors import FedctrError
from fedctr.federated.training import train
from fedctr.run import Run
from fedctr.summary import Result
from tests.application import MODEL, experiment
from tests.federated.test_training import training
from tests.test_run import Recorder

pytestmark = pytest.mark.usefixtures("small_cache")


@pytest.fixture(scope="module")
def trained(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a federated training with one seed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDCTR_CACHE", str(shared_cache))
        return train(training(tmp_path_factory.mktemp("trained") / "run", model=MODEL)).folder


def test_a_federated_model_is_personalised(trained: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    result = bench(experiment(tmp_path / "run", published=trained, seeds=1), recorder)
    assert list(recorder.phases) == ["clients", "validation", "test"]  # nothing was trained in the cloud
    name = "published/seed-0/model.safetensors"
    assert (result.folder / name).read_bytes() == (trained / name).read_bytes()
    facts = json.loads((result.folder / "published/seed-0/published.json").read_text())
    assert facts["training"]["aggregation"] == "fedavg"
    cloud = bench(experiment(tmp_path / "cloud", seeds=1))
    left_alone = [each.users.query("strategy == 'no-fine-tuning'")["log_loss"] for each in (result, cloud)]
    assert (left_alone[0].to_numpy() != left_alone[1].to_numpy()).mean() > 0.9


def test_a_cloud_model_gives_what_it_gave(reference: Result, tmp_path: Path) -> None:
    result = bench(experiment(tmp_path / "run", published=reference.folder))
    pd.testing.assert_frame_equal(result.users, reference.users, check_exact=True)


def test_the_weights_are_part_of_the_run_and_the_path_is_not(trained: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.symlink_to(trained)
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning",), "seeds": 1}
    bench(experiment(tmp_path / "run", published=trained, **keys))
    bench(experiment(tmp_path / "run", published=moved, **keys))
    other = train(training(tmp_path / "other", model=MODEL, rounds=1)).folder
    for published in (other, None):
        with pytest.raises(FedctrError, match="run: holds another run"):
            bench(experiment(tmp_path / "run", published=published, **keys))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, r" has no model of seed 1, which seeds = 2 asks for; lower it, or train more"),
        (
            {"dataset": "synthetic[users=51]"},
            " was trained on other samples, synthetic.users=50.; this experiment has ",
        ),
        ({"model": "lr"}, r" has model din\[.*\], this experiment lr"),
        ({"split": Fractions(test=0.3)}, r" has split \{.*'test': 0.2, .*\}, this experiment \{.*'test': 0.3, .*\}"),
    ],
)
def test_a_model_of_something_else_is_refused(
    keys: dict[str, Any], message: str, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(FedctrError, match=f"published: {trained}{message}"):
        bench(experiment(tmp_path / "run", published=trained, **keys))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_a_folder_that_is_no_run_is_refused(content: str | None, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    if content is not None:
        (tmp_path / "nothing" / "identity.json").write_text(content)
    with pytest.raises(FedctrError, match="nothing is not the folder of a run of fedctr train or fedctr bench"):
        bench(experiment(tmp_path / "run", published=tmp_path / "nothing"))


def test_a_training_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    folder = train(training(tmp_path / "half", model=MODEL)).folder
    (folder / "published").rename(folder / "not-yet")
    with pytest.raises(FedctrError, match="half has no model of seed 0"):
        bench(experiment(tmp_path / "run", published=folder, seeds=1))


def test_how_the_cloud_would_train_does_not_matter_to_the_model(trained: Path, tmp_path: Path) -> None:
    run = experiment(tmp_path / "run", published=trained, seeds=1, cloud=CloudTraining(epochs=7))
    assert [facts["seed"] for _, facts in Run.open(run, Recorder()).borrowed] == [0]
