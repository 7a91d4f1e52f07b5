"""A stranger's strategy: from a module in the current folder, or from an installed distribution."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, split
from fedctr.summary import Result
from tests.application import DATASET, command, files, install_wheel, users_of, write_toml
from tests.mischief import write_module

pytestmark = pytest.mark.usefixtures("small_cache")

STRATEGY = '''
from dataclasses import dataclass
from fedctr import ClientStrategy

@dataclass(frozen=True)
class Shrunk(ClientStrategy):
    """Labels shrunk by a factor [0, 1]."""
    name = "NAME"
    citation = "A stranger, 2026"
    factor: float
    rest: tuple = (1, 2)

    def targets(self, local, published):
        return local.labels * self.factor
'''


def rows_of(users: pd.DataFrame, strategy: str) -> pd.DataFrame:
    return users[users["strategy"] == strategy].drop(columns="strategy").reset_index(drop=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed a distribution that announces a strategy."""
    source = STRATEGY.replace("NAME", "shrunk")
    return install_wheel(tmp_path_factory.mktemp("target"), "stranger", source, "stranger:Shrunk")


def announce(folder: Path, name: str) -> Path:
    """Lay a distribution out by hand, without pip."""
    facts = folder / "double-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: double\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[fedctr.strategies]\nx = double:Shrunk\n")
    (folder / "double.py").write_text(STRATEGY.replace("NAME", name))
    return folder


# ----------------------------------------------------------------------------------- module and class


def test_a_module_of_the_current_folder_on_ray(reference: Result, tmp_path: Path) -> None:
    """With folders beside it that are called like ours, and like the standard library; one strategy fails."""
    dataset = open_dataset(DATASET)
    starts, stops = split(dataset, Fractions()).bounds("train")
    counts = pd.Series(stops - starts)
    victim = int(counts.index[~counts.duplicated(keep=False)][0])
    write_module(tmp_path, samples=int(counts[victim]))
    for name in ("strategies", "clients", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    strategies = ("no-fine-tuning", "my_module:Mine", "my_module:Raises", "fine-tuning")
    toml = write_toml(tmp_path / "experiment.toml", strategies=strategies, backend="ray")
    ended = command(tmp_path, "bench", toml.name)

    client = 0 if victim < 25 else 1
    id_ = dataset.user_ids[victim].as_py()
    assert ended.returncode == 2
    assert ended.stdout.endswith("Run folder: out\n")
    assert "my_module:Mine" in ended.stdout  # the table of the others
    assert "my_module:Raises" not in ended.stdout
    assert ended.stderr.splitlines()[-1] == (
        f"fedctr: strategy my_module:Raises: client {client}, user {id_}: RuntimeError: first line second line "
        "(1 more in log.txt); what the others computed is kept in out"
    )
    assert "Traceback" not in ended.stderr
    users = users_of(tmp_path / "out")
    for strategy in ("no-fine-tuning", "fine-tuning"):
        expected = rows_of(reference.users, strategy)
        pd.testing.assert_frame_equal(rows_of(users, strategy), expected, check_exact=True)
    survivors = set(rows_of(users, "my_module:Raises")["user"])
    assert survivors == {str(user) for user in dataset.user_ids[25:] if client == 0} | {
        str(user) for user in dataset.user_ids[:25] if client == 1
    }

    inline = command(tmp_path, "bench", toml.name, "--backend", "inline", "--out", "inline")
    assert inline.returncode == 2
    assert users_of(tmp_path / "inline").equals(users)
    mine = rows_of(users, "my_module:Mine")
    assert mine["split"].value_counts().to_dict() == {"validation": 100, "test": 100}


def test_half_the_loss_is_half_the_step(fedctr: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A plug-in's hook is what is run: half the loss at a rate equals the whole loss at half of it."""
    write_module(tmp_path, samples=-1)
    for name, strategy, rate in (("plain", "fine-tuning", 0.1), ("plugin", "my_module:Mine", 0.2)):
        toml = write_toml(tmp_path / f"{name}.toml", strategies=(strategy,), learning_rates=(rate,), seeds=1)
        assert fedctr("bench", toml.name, "--out", name)[0] == 0
    plain, plugin = users_of(tmp_path / "plain"), users_of(tmp_path / "plugin")
    assert plugin["log_loss"].to_numpy() == pytest.approx(plain["log_loss"].to_numpy(), rel=1e-5)


@pytest.mark.parametrize(
    ("source", "spec", "message"),
    [
        ("1 / 0", "own:Mine", "strategy 'own:Mine': importing it raised ZeroDivisionError: division by zero"),
        ("import nowhere_to_be_found", "own:Mine", "strategy 'own:Mine': No module named 'nowhere_to_be_found'; run "),
        ("def f(:", "own:Mine", "strategy 'own:Mine': importing it raised SyntaxError: invalid syntax (own.py, line"),
        ("", "own:Mine", "strategy 'own:Mine': module 'own' has no attribute 'Mine'"),
        ("Mine = 3", "own:Mine", "own:Mine: not a strategy; derive it from fedctr.strategy.ClientStrategy"),
        (STRATEGY, "own:Shrunk", "strategy 'own:Shrunk': Shrunk.__init__() missing 1 required positional argument: 'f"),
        (STRATEGY, "own:Shrunk[factr=2]", "strategy own:Shrunk has no option 'factr'; it has factor, rest"),
        (
            f"{STRATEGY}\n    def __post_init__(self): raise RuntimeError('never')",
            "own:Shrunk[factor=2]",
            "strategy 'own:Shrunk[factor=2]': RuntimeError: never",
        ),
    ],
)  # fmt: skip
def test_a_module_that_fails_is_one_line(
    source: str, spec: str, message: str, fedctr: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(source)
    toml = write_toml(tmp_path / "experiment.toml")
    code, out, err = fedctr("bench", toml.name, "--strategy", spec)
    assert (code, out) == (2, "")
    assert err.startswith(f"fedctr: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------- installed distributions


def test_an_installed_strategy_is_listed_and_run_by_its_name(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(command(tmp_path, "strategies", "--json", path=[installed]).stdout)
    assert {"name": "shrunk", "description": "Labels shrunk by a factor [0, 1].", "citation": "A stranger, 2026",
            "options": {"factor": None, "rest": [1, 2]}} in listed  # fmt: skip
    shown = command(tmp_path, "strategies", path=[installed]).stdout
    assert "Labels shrunk by a factor [0, 1]." in shown

    strategies = ("shrunk[factor=1]", "fine-tuning")
    toml = write_toml(tmp_path / "experiment.toml", strategies=strategies, seeds=1)
    ended = command(tmp_path, "bench", toml.name, "--json", path=[installed])
    assert ended.returncode == 0
    assert list(json.loads(ended.stdout)["strategies"]) == list(strategies)
    users = users_of(tmp_path / "out")
    pd.testing.assert_frame_equal(rows_of(users, strategies[0]), rows_of(users, strategies[1]), check_exact=True)


def test_two_strategies_of_one_name_are_both_named(installed: Path, tmp_path: Path) -> None:
    for name, other in (("shrunk", "stranger:Shrunk"), ("pairwise", "strategies.pairwise:Pairwise")):
        ended = command(tmp_path, "strategies", path=[announce(tmp_path / name, name), installed])
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(f"fedctr: two strategy classes are named {name!r}: ")
        assert other in ended.stderr
        assert "double:Shrunk" in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_an_installed_strategy_that_fails_is_one_line(tmp_path: Path) -> None:
    announce(tmp_path / "broken", "double")
    (tmp_path / "broken" / "double.py").write_text("raise RuntimeError('broken')")
    ended = command(tmp_path, "strategies", path=[tmp_path / "broken"])
    expected = "fedctr: entry point x = double:Shrunk (fedctr.strategies): RuntimeError: broken\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", expected)


@pytest.mark.parametrize("name", ["strategies", "clients"])
@pytest.mark.parametrize("regular", [True, False], ids=["package", "folder"])
def test_a_folder_that_shadows_ours_is_named(name: str, regular: bool, tmp_path: Path) -> None:
    (tmp_path / "first" / name).mkdir(parents=True)
    if regular:
        (tmp_path / "first" / name / "__init__.py").touch()
    toml = write_toml(tmp_path / "experiment.toml", strategies=("no-fine-tuning",), seeds=1)
    ended = command(tmp_path, "bench", toml.name, path=[tmp_path / "first"])
    if not regular:  # Python prefers a regular package to a folder without __init__.py, wherever it stands
        assert ended.returncode == 0
        return
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"fedctr: {tmp_path / 'first' / name}: shadows the package {name} that comes with fedctr; rename this folder, "
        "or keep it off the import path\n"
    )
    assert files(tmp_path) == {"experiment.toml", f"first/{name}/__init__.py"}
