"""What a stranger brings: from a module in the current folder, or from an installed distribution."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, split
from fedctr.summary import Result
from tests.application import DATASET, announced, command, files, install_wheel, users_of, write_toml
from tests.application import MODEL as SPEC
from tests.mischief import write_module

pytestmark = pytest.mark.usefixtures("small_cache")

Fedctr = Callable[..., tuple[int, str, str]]

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


MODEL = '''
from fedctr.models.din import DIN

class Net(DIN):
    """The shelf's DIN under another name."""
    name = "stranger-net"
    citation = "A stranger, 2025"
'''

WORLD = '''
from dataclasses import dataclass
from fedctr.data.synthetic import Synthetic

@dataclass(frozen=True)
class World(Synthetic):
    """The shelf's synthetic world under another name."""
    name = "stranger-world"
'''


def rows_of(users: pd.DataFrame, strategy: str) -> pd.DataFrame:
    return users[users["strategy"] == strategy].drop(columns="strategy").reset_index(drop=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed a distribution that announces a strategy, a model and a data set."""
    source = STRATEGY.replace("NAME", "shrunk") + MODEL + WORLD
    announced = {"fedctr.strategies": "Shrunk", "fedctr.models": "Net", "fedctr.datasets": "World"}
    return install_wheel(tmp_path_factory.mktemp("target"), "stranger", source, announced)


def announce(folder: Path, name: str) -> Path:
    """Lay a distribution out by hand, without pip."""
    facts = folder / "double-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: double\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[fedctr.strategies]\nx = double:Shrunk\n")
    (folder / "double.py").write_text(STRATEGY.replace("NAME", name))
    return folder


# ----------------------------------------------------------------------------------- module and class


def test_a_strangers_code_on_ray_and_inline(reference: Result, installed: Path, tmp_path: Path) -> None:
    """Strategies of the current folder and of a distribution, which also brings model and data set.

    Beside them are folders that are called like ours, and like the standard library; and one strategy fails. Nothing
    but JSON reaches standard output, and no chatter of Ray or Flower standard error.
    """
    dataset = open_dataset(DATASET)
    starts, stops = split(dataset, Fractions()).bounds("train")
    counts = pd.Series(stops - starts)
    victim = int(counts.index[~counts.duplicated(keep=False)][0])
    write_module(tmp_path, samples=int(counts[victim]))
    for name in ("strategies", "clients", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    toml = write_toml(
        tmp_path / "experiment.toml",
        strategies=("no-fine-tuning", "my_module:Mine", "my_module:Raises", "fine-tuning", "shrunk[factor=1]"),
        backend="ray",
    )
    model = SPEC.replace("din[", "stranger-net[")
    own = "--dataset", DATASET.replace("synthetic", "stranger-world"), "--model", model
    ended = command(tmp_path, "bench", toml.name, *own, "--json", path=[installed])

    client = 0 if victim < 25 else 1
    id_ = dataset.user_ids[victim].as_py()
    assert ended.returncode == 2
    assert ended.stdout == (tmp_path / "out" / "summary.json").read_text()
    compared = ["no-fine-tuning", "my_module:Mine", "fine-tuning", "shrunk[factor=1]"]
    assert list(json.loads(ended.stdout)["strategies"]) == compared
    told = [line for line in announced(ended.stderr) if "chatter" not in line]
    phases = *(f"cloud: {model}, seed {seed}" for seed in (0, 1)), "clients"
    assert told[:5] == [*phases, *(f"{part}: 4 strategies x 2 seeds" for part in ("validation", "test"))]
    assert sorted(line.partition(": ")[0] for line in told[5:-1]) == sorted(compared)
    assert ended.stderr.splitlines()[-1] == (
        f"fedctr: strategy my_module:Raises: client {client}, user {id_}: RuntimeError: first line second line "
        "(1 more in log.txt); what the others computed is kept in out"
    )
    assert "Traceback" not in ended.stderr
    users = users_of(tmp_path / "out")
    for strategy, same in (("no-fine-tuning",) * 2, ("fine-tuning",) * 2, ("shrunk[factor=1]", "fine-tuning")):
        expected = rows_of(reference.users, same)
        pd.testing.assert_frame_equal(rows_of(users, strategy), expected, check_exact=True)
    survivors = set(rows_of(users, "my_module:Raises")["user"])
    assert survivors == {str(user) for user in dataset.user_ids[25:] if client == 0} | {
        str(user) for user in dataset.user_ids[:25] if client == 1
    }

    options = *own, "--backend", "inline", "--out", "inline"
    inline = command(tmp_path, "bench", toml.name, *options, path=[installed])
    assert inline.returncode == 2
    assert (tmp_path / "inline" / "users.parquet").read_bytes() == (tmp_path / "out" / "users.parquet").read_bytes()
    mine = rows_of(users, "my_module:Mine")
    assert mine["split"].value_counts().to_dict() == {"validation": 100, "test": 100}


def test_a_model_and_a_data_set_of_the_current_folder(reference: Result, fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODEL + WORLD)
    toml = write_toml(tmp_path / "experiment.toml", strategies=("fine-tuning",))
    own = "--dataset", DATASET.replace("synthetic", "own:World"), "--model", SPEC.replace("din[", "own:Net[")
    assert fedctr("bench", toml.name, *own)[0] == 0
    users, expected = (rows_of(rows, "fine-tuning") for rows in (users_of(tmp_path / "out"), reference.users))
    pd.testing.assert_frame_equal(users, expected, check_exact=True)
    assert "users with drift beyond" in fedctr("data", "describe", "own:World[users=50]")[1]


def test_a_data_set_is_read_again_when_its_code_has_changed(fedctr: Fedctr, tmp_path: Path) -> None:
    for users in (20, 30):
        source = f"{WORLD}    def read(self, *how): return Synthetic(users={users}).read(*how)\n"
        (tmp_path / "own.py").write_text(source)
        assert json.loads(fedctr("data", "describe", "own:World", "--json")[1])["users"] == users


def test_half_the_loss_is_half_the_step(fedctr: Fedctr, tmp_path: Path) -> None:
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
def test_a_module_that_fails_is_one_line(source: str, spec: str, message: str, fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(source)
    toml = write_toml(tmp_path / "experiment.toml")
    code, out, err = fedctr("bench", toml.name, "--strategy", spec)
    assert (code, out) == (2, "")
    assert err.startswith(f"fedctr: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------- installed distributions


def test_whatever_a_distribution_brings_is_listed(
    installed: Path, fedctr: Fedctr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(installed))
    code, out, err = fedctr("strategies")
    assert (code, err) == (0, "")
    assert "Labels shrunk by a factor [0, 1]." in out
    said = "model stranger-net (fedctr models); data set stranger-world (fedctr data list)"
    assert out.splitlines()[-1] == f"Other packages bring more: {said}"

    strategies, models, data = (
        {entry["name"]: entry for entry in json.loads(fedctr(*words, "--json")[1])}
        for words in (["strategies"], ["models"], ["data", "list"])
    )
    assert strategies["shrunk"] == {
        "name": "shrunk",
        "description": "Labels shrunk by a factor [0, 1].",
        "options": {"factor": None, "rest": [1, 2]},
        "citation": "A stranger, 2026",
        "home": "",
        "package": "stranger",
    }
    assert models["stranger-net"].items() >= {"citation": "A stranger, 2025", "package": "stranger"}.items()
    assert models["stranger-net"]["options"] == models["din"]["options"]
    assert (models["din"]["package"], data["synthetic"]["package"]) == ("fedctr", "fedctr")
    assert data["stranger-world"]["options"]["users"] == 1000


@pytest.mark.parametrize(
    ("name", "other"), [("shrunk", "stranger:Shrunk"), ("pairwise", "strategies.pairwise:Pairwise")]
)
def test_two_strategies_of_one_name_are_both_named(
    name: str, other: str, installed: Path, fedctr: Fedctr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (installed, announce(tmp_path / name, name)):
        monkeypatch.syspath_prepend(str(folder))
    code, out, err = fedctr("strategies")
    assert (code, out) == (2, "")
    assert err.startswith(f"fedctr: two strategy classes are named {name!r}: ")
    assert other in err
    assert "double:Shrunk" in err
    assert err.count("\n") == 1


def test_an_installed_strategy_that_fails_is_one_line(
    fedctr: Fedctr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(announce(tmp_path / "broken", "double")))
    (tmp_path / "broken" / "double.py").write_text("raise RuntimeError('broken')")
    expected = "fedctr: entry point x = double:Shrunk (fedctr.strategies): RuntimeError: broken\n"
    assert fedctr("strategies") == (2, "", expected)


@pytest.mark.parametrize(
    ("name", "regular"),
    [
        ("strategies", True),
        ("clients", True),
        ("strategies", False),
        pytest.param("clients", False, marks=pytest.mark.exhaustive),
    ],
)
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
