from pathlib import Path

import pytest

from fedctr.errors import FedctrError
from fedctr.kept.training import FederatedRun
from fedctr.report.page import Figure, Table
from fedctr.report.train import of_training
from fedctr.training import Training

HEADING = "seed,round,users,sampled,dropped,slow,diverged,clients_lost,log_loss,auc\n"
ROUNDS = (
    HEADING
    + "0,0,0,0,0,0,0,0,0.69,0.5\n0,1,8,10,2,1,0,0,0.60,0.6\n0,2,6,10,4,0,0,0,0.62,0.7\n"
    + "1,0,0,0,0,0,0,0,0.69,0.5\n1,1,10,10,0,0,0,0,0.55,0.65\n"
)


def folder(path: Path, rounds: str = ROUNDS) -> Path:
    training = Training(dataset="synthetic", model="lr", rounds=2, seeds=2, out=path)
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
