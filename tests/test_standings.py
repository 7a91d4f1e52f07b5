from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from fedctr.composition import strategies_of
from fedctr.data.cache import open_dataset
from fedctr.progress import Silent
from fedctr.run import Run
from fedctr.standings import Standings
from tests.application import DATASET, experiment

pytestmark = pytest.mark.usefixtures("small_cache")

NAN = float("nan")


class Heard(Silent):
    """Keeps the table as it was last told, and which of its lines are final."""

    def __init__(self) -> None:
        self.table: dict[str, Mapping[str, str]] = {}
        self.final: set[str] = set()

    def row(self, name: str, cells: Mapping[str, str], final: bool = False) -> None:
        self.table[name] = {heading: cell for heading, cell in cells.items() if cell}
        self.final |= {name} if final else set()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def standings(heard: Heard) -> Standings:
    """Of two strategies with two seeds, validated at two learning rates."""
    settings = experiment(Path("out"), strategies=("no-fine-tuning", "fine-tuning"), epochs=(1,))
    run = Run(settings, open_dataset(DATASET), strategies_of(settings.strategies), Path("out"), heard)
    return Standings(run)


def rows(*trials: tuple[float, list[float]]) -> pd.DataFrame:
    """A cell: the AUC of every user at each learning rate."""
    return pd.DataFrame(
        {"learning_rate": rate, "epochs": 1, "auc": auc, "diverged": False} for rate, aucs in trials for auc in aucs
    )


def test_all_strategies_are_there_from_the_beginning(standings: Standings, heard: Heard) -> None:
    standings.announce()
    assert heard.table == {"no-fine-tuning": {}, "fine-tuning": {}}


def test_validation_chooses_by_the_mean_over_the_seeds_so_far(standings: Standings, heard: Heard) -> None:
    standings.add("validation", "fine-tuning", 0, rows((0.03, [0.6, NAN]), (0.3, [0.7, NAN])))
    assert heard.table["fine-tuning"] == {"tuned with": "0.3 x 1", "validation AUC": "0.7000 (1 of 2 seeds)"}
    standings.add("validation", "fine-tuning", 1, rows((0.03, [0.9, NAN]), (0.3, [0.5, NAN])))
    assert heard.table["fine-tuning"] == {"tuned with": "0.03 x 1", "validation AUC": "0.7500"}
    assert not heard.final


def test_the_test_part_is_compared_over_the_seeds_that_both_have(standings: Standings, heard: Heard) -> None:
    standings.add("test", "no-fine-tuning", 0, rows((0.0, [0.5, 0.7])))
    standings.add("test", "no-fine-tuning", 1, rows((0.0, [0.3, 0.5])))
    standings.add("test", "fine-tuning", 1, rows((0.3, [0.4, 0.5])))
    assert heard.table["no-fine-tuning"] == {"user AUC": "0.5000"}
    assert heard.table["fine-tuning"] == {
        "tuned with": "0.3 x 1",
        "user AUC": "0.4500 (1 of 2 seeds)",
        "vs no-fine-tuning": "+0.0500 (1 of 2 seeds)",
    }
    assert heard.final == {"no-fine-tuning"}


def test_a_line_is_final_once_that_which_it_is_compared_with_is_whole(standings: Standings, heard: Heard) -> None:
    standings.add("test", "fine-tuning", 0, rows((0.3, [0.6, 0.6])))
    standings.add("test", "no-fine-tuning", 0, rows((0.0, [0.5, 0.5])))
    standings.add("test", "fine-tuning", 1, rows((0.3, [0.6, 0.6])))
    assert not heard.final
    standings.add("test", "no-fine-tuning", 1, rows((0.0, [0.3, 0.3])))
    assert heard.final == {"no-fine-tuning", "fine-tuning"}
    assert heard.table["fine-tuning"]["vs no-fine-tuning"] == "+0.2000"
