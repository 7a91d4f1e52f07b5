"""The configuration that the folder of a grid keeps repeats the grid."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from fedctr.grid.configuration import to_toml
from fedctr.grid.plan import Plan, plan
from tests.grid.test_plan import GRID, SWEEPS

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PUBLISHED = {name: (EXPERIMENTS / f"{name}.toml").read_text(encoding="utf-8") for name in ("drift", "paper")}


def of(text: str, **given: Any) -> Plan:
    return plan(tomllib.loads(text), given, Path("study.toml"))


def experiments(found: Plan) -> list[tuple[str, dict[str, str], str]]:
    """Of each experiment its sweep, its place there, and all of its keys."""
    return [
        (sweep.name, point.coordinates, point.experiment.to_toml()) for sweep in found.sweeps for point in sweep.points
    ]


@pytest.mark.parametrize("text", [GRID, SWEEPS, *PUBLISHED.values()], ids=["axes", "sweeps", *PUBLISHED])
def test_it_gives_the_same_experiments_in_the_same_folders(text: str) -> None:
    found = of(text)
    assert experiments(of(to_toml(found))) == experiments(found)


def test_options_and_restrictions_of_the_command_line_are_in_it() -> None:
    found = of(GRID, seeds=1, out=Path("elsewhere")).only("model", ["din"], "--models")
    kept = tomllib.loads(to_toml(found))
    assert (kept["seeds"], kept["out"], kept["axes"]["model"]) == (1, "elsewhere", ["din[embedding=4]"])
    assert experiments(of(to_toml(found))) == experiments(found)


def test_every_default_is_spelt_out_once() -> None:
    kept = tomllib.loads(to_toml(of(SWEEPS)))
    assert kept["strategies"] == ["no-fine-tuning", "fine-tuning", "label-correction"]
    rates, seeds = kept["sweep"]
    assert rates.keys() == {"name", "axes", "model", "seeds", "cloud"}
    assert seeds.keys() == {"name", "axes", "model", "learning_rates", "cloud"}
    assert rates["cloud"].keys() == seeds["cloud"].keys() - {"learning_rate"}
