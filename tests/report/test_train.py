import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from fedctr.errors import FedctrError
from fedctr.federated.beside_cloud import BesideCloud
from fedctr.federated.settings import Training
from fedctr.kept.training import FederatedRun
from fedctr.report.page import Figure, Table
from fedctr.report.train import of_training

HEADING = "seed,round,users,sampled,dropped,slow,diverged,clients_lost,log_loss,auc\n"
ROUNDS = (
    HEADING
    + "0,0,0,0,0,0,0,0,0.69,0.5\n0,1,8,10,2,1,0,0,0.60,0.6\n0,2,6,10,4,0,0,0,0.62,0.7\n"
    + "1,0,0,0,0,0,0,0,0.69,0.5\n1,1,10,10,0,0,0,0,0.55,0.65\n"
)


def folder(path: Path, rounds: str = ROUNDS, **keys: Any) -> Path:
    training = Training(dataset="synthetic", model="lr", rounds=2, seeds=2, out=path, **keys)
    (path / "config.toml").write_text(training.to_toml())
    (path / "rounds.csv").write_text(rounds)
    (path / "identity.json").write_text('{"versions": {"fedctr": "0.1.0"}}')
    return path


def test_the_best_round_of_every_seed_is_told_and_where_it_was_stopped(tmp_path: Path) -> None:
    report = of_training(FederatedRun(folder(tmp_path)))
    assert report.title == "lr on synthetic, trained by rounds"
    assert report.answer == (
        "Seed 0: round 1 of 2 is the best, validation log loss 0.6000 and AUC 0.6000, from 0.6900 and 0.5000 before "
        "the first. Seed 1: round 1 of 2 is the best, validation log loss 0.5500 and AUC 0.6500, from 0.6900 and "
        "0.5000 before the first. It was stopped after round 1."
    )


def test_how_it_was_averaged_and_by_what_the_best_round_was_chosen_show(tmp_path: Path) -> None:
    report = of_training(FederatedRun(folder(tmp_path, averaging="holders", best_by="auc")))
    assert report.facts == "fedavg over the holders of a row, local steps by fine-tuning, 2 rounds, 2 seeds"
    assert report.answer.startswith("Seed 0: round 2 of 2 is the best, validation log loss 0.6200 and AUC 0.7000,")


def test_what_the_cloud_comes_to_stands_beside_it(tmp_path: Path) -> None:
    near = BesideCloud(0, 1, 0.6, 0.605, 0.59, 0.594, near=1)
    found = [asdict(near), asdict(replace(near, seed=1, near=None))]
    (folder(tmp_path) / "beside-cloud.json").write_text(json.dumps(found))
    _, section, *_ = of_training(FederatedRun(tmp_path)).sections
    (table,) = section.blocks
    assert isinstance(table, Table)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["0", "0.6000", "0.6050", "0.5900", "0.5940", "1"],
        ["1", "0.6000", "0.6050", "0.5900", "0.5940", "-"],
    ]


def test_every_round_is_in_the_curve_and_in_the_means(tmp_path: Path) -> None:
    progress, participation, _ = of_training(FederatedRun(folder(tmp_path))).sections
    (figure,) = (block for block in progress.blocks if isinstance(block, Figure))
    assert [[cell.text for cell in row] for row in figure.numbers.rows] == [
        ["0", "0", "0.6900", "0.5000"],
        ["0", "1", "0.6000", "0.6000"],
        ["0", "2", "0.6200", "0.7000"],
        ["1", "0", "0.6900", "0.5000"],
        ["1", "1", "0.5500", "0.6500"],
    ]
    (table,) = participation.blocks
    assert isinstance(table, Table)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["0", "2", "7.0", "3.0", "0.5", "0.0"],
        ["1", "1", "10.0", "0.0", "0.0", "0.0"],
    ]


@pytest.mark.parametrize("rounds", ["", "seed,round\n0,1\n", "seed\n0\n"])
def test_a_damaged_curve_is_named(rounds: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match=r"rounds.csv: (cannot be read|damaged, there is no column)"):
        of_training(FederatedRun(folder(tmp_path, rounds)))
