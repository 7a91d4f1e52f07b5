"""The experiment files that come with the project."""

from pathlib import Path

import pytest

from fedctr.composition import strategy_of
from fedctr.config import Experiment
from fedctr.data.loader import loaders
from fedctr.federated.settings import Training
from fedctr.grid.plan import is_grid, plan
from fedctr.models.model import models
from fedctr.online.settings import ABTest
from fedctr.registry import parse

FOLDER = Path(__file__).parents[1] / "experiments"
ABTESTS = [file for file in sorted(FOLDER.glob("*.toml")) if "arms" in file.read_text(encoding="utf-8")]
TRAININGS = [file for file in sorted(FOLDER.glob("*.toml")) if "rounds" in file.read_text(encoding="utf-8")]
BENCHES = [file for file in sorted(FOLDER.glob("*.toml")) if file not in ABTESTS + TRAININGS]


@pytest.mark.parametrize("file", BENCHES, ids=lambda file: file.stem)
def test_every_name_in_it_is_known(file: Path) -> None:
    values = Experiment.read(file)
    if is_grid(values):
        plan(values, {}, file)
        return
    experiment = Experiment.of(values, str(file))
    loaders.create(experiment.dataset)
    models.find(parse(experiment.model).name)
    for strategy in experiment.strategies:
        strategy_of(strategy)


@pytest.mark.parametrize("file", ABTESTS, ids=lambda file: file.stem)
def test_every_arm_of_it_is_known(file: Path) -> None:
    settings = ABTest.of(ABTest.read(file), str(file))
    models.find(parse(settings.model).name)
    for arm in settings.arms:
        strategy_of(arm.strategy)


@pytest.mark.parametrize("file", TRAININGS, ids=lambda file: file.stem)
def test_every_name_of_a_training_is_known(file: Path) -> None:
    training = Training.of(Training.read(file), str(file))
    loaders.create(training.dataset)
    models.find(parse(training.model).name)
    strategy_of(training.strategy)


def test_the_table_of_the_paper_has_its_five_models_and_three_families() -> None:
    chosen = plan(Experiment.read(FOLDER / "paper.toml"), {}, FOLDER / "paper.toml")
    assert {point.experiment.model for point in chosen.points} == {"lr", "wide-deep", "deepfm", "pnn", "din"}
    families = {parse(point.experiment.dataset).name.split("-")[0] for point in chosen.points}
    assert families == {"movielens", "amazon", "taobao"}
