import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fedctr.errors import FedctrError
from fedctr.kept.comparing_trainings import compare_trainings
from fedctr.kept.training import FederatedRun
from tests.kept.folders import write_train

Fedctr = Callable[..., tuple[int, str, str]]


def test_each_seed_has_its_best_round_and_when_the_second_had_caught_up(tmp_path: Path) -> None:
    """Round 0 is the untrained model, which counts nowhere; the AUC is 1 - log loss."""
    first = FederatedRun(write_train(tmp_path / "first", [[0.1, 0.6, 0.5], [0.7, 0.4, 0.5], [0.7, 0.6]]))
    second = FederatedRun(write_train(tmp_path / "second", [[0.4, 0.5, 0.3], [0.7, 0.6, 0.5]]))
    found = compare_trainings(first, second)
    assert found.seeds == {
        0: {
            "first": {"round": 2, "log_loss": 0.5, "auc": 0.5},
            "second": {"round": 2, "log_loss": 0.3, "auc": 0.7},
            "caught_up": 1,
        },
        1: {
            "first": {"round": 1, "log_loss": 0.4, "auc": 0.6},
            "second": {"round": 2, "log_loss": 0.5, "auc": 0.5},
            "caught_up": None,
        },
    }
    assert found.same_samples
    assert found.settings == {"seeds": ("3", "2")}


def chosen_by_auc(folder: Path, log_loss: list[list[float]], auc: list[list[float]]) -> Path:
    """A training whose best rounds are those of the highest AUC."""
    file = write_train(folder, log_loss, best_by="auc") / "rounds.csv"
    pd.read_csv(file).assign(auc=[value for curve in auc for value in curve]).to_csv(file, index=False)
    return folder


def test_where_the_first_was_chosen_by_auc_the_second_catches_up_by_auc(fedctr: Fedctr, tmp_path: Path) -> None:
    """Both grow bold: AUC and log loss rise together, so that by log loss every seed would catch up in its round 1."""
    bold = [[0.7, 0.60, 0.66]] * 2
    chosen_by_auc(tmp_path / "first", bold, [[0.5, 0.62, 0.70]] * 2)
    chosen_by_auc(tmp_path / "second", bold, [[0.5, 0.56, 0.71], [0.5, 0.56, 0.58]])
    found = compare_trainings(*(FederatedRun(tmp_path / name) for name in ("first", "second")))
    assert found.best_by == "auc"
    assert found.seeds[0]["first"] == {"round": 2, "log_loss": 0.66, "auc": 0.70}
    assert [found.seeds[seed]["caught_up"] for seed in (0, 1)] == [2, None]
    said = " ".join(fedctr("compare", "first", "second")[1].split())
    assert "the round after which the second's AUC is as high as that of the first's best" in said


def test_without_a_round_in_both_there_is_nothing_to_compare(tmp_path: Path) -> None:
    first = FederatedRun(write_train(tmp_path / "first", [[0.7]]))
    second = FederatedRun(write_train(tmp_path / "second", [[0.7, 0.6]]))
    with pytest.raises(FedctrError, match=r"first and .*second: no seed has done a round in both; let them go on"):
        compare_trainings(first, second)


def test_the_command_shows_settings_and_a_row_for_each_seed(fedctr: Fedctr, tmp_path: Path) -> None:
    write_train(tmp_path / "one", [[0.7, 0.5]])
    other = write_train(tmp_path / "other", [[0.7, 0.6, 0.4]])
    identity = json.loads((other / "identity.json").read_text())
    (other / "identity.json").write_text(json.dumps({**identity, "content_hash": "2e"}))
    code, out, err = fedctr("compare", "one", "other")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["content_hash", "1f", "2e"] in lines
    assert ["0", "1", "2", "0.5000", "0.4000", "0.5000", "0.6000", "2"] in lines
    assert "They were validated on other samples" in out
    assert "the second's log loss is as low as that of the first's best" in " ".join(out.split())
    found = json.loads(fedctr("compare", "one", "other", "--json")[1])
    assert (found["same_samples"], found["seeds"]["0"]["caught_up"]) == (False, 2)
