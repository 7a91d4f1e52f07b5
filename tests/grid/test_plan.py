import tomllib
from pathlib import Path
from typing import Any

import pytest

from fedctr.errors import FedctrError
from fedctr.grid.plan import Plan, is_grid, plan

FILE = Path("here/study.toml")
GRID = """
seeds = 2
out = "runs/g"
[cloud]
epochs = 5
[axes]
dataset = ["movielens-100k", "synthetic[users=50]"]
model = ["lr", "din[embedding=4]"]
[paths]
movielens-100k = "data/ml"
"""
SWEEPS = """
model = "lr"
[cloud]
epochs = 5
patience = 2
[[sweep]]
name = "rates"
axes.learning_rates = [[0.01], [0.1]]
axes.cloud.learning_rate = [0.1, 0.2]
[[sweep]]
name = "seeds"
cloud.epochs = 7
model = "din"
[sweep.axes]
"seeds" = [1, 2]
"""


def of(text: str, **given: Any) -> Plan:
    return plan(tomllib.loads(text), given, FILE)


def test_every_combination_is_an_experiment_in_a_folder_of_its_own() -> None:
    found = of(GRID)
    assert found.out == Path("runs/g")
    assert [(point.experiment.dataset, point.experiment.model, point.experiment.out) for point in found.points] == [
        ("movielens-100k", "lr", Path("runs/g/movielens-100k/lr")),
        ("movielens-100k", "din[embedding=4]", Path("runs/g/movielens-100k/din-embedding=4")),
        ("synthetic[users=50]", "lr", Path("runs/g/synthetic-users=50/lr")),
        ("synthetic[users=50]", "din[embedding=4]", Path("runs/g/synthetic-users=50/din-embedding=4")),
    ]
    assert {(point.experiment.seeds, point.experiment.cloud.epochs) for point in found.points} == {(2, 5)}
    assert found.points[1].name == "din[embedding=4] on movielens-100k"


def test_a_path_is_for_its_data_set_alone() -> None:
    assert [point.experiment.path for point in of(GRID).points] == [Path("data/ml")] * 2 + [None] * 2


def test_a_path_by_the_name_of_the_data_set_holds_for_all_its_options() -> None:
    text = '[axes]\ndataset = ["a[x=1]", "a[x=2]"]\n[paths]\na = "all"\n"a[x=2]" = "two"'
    assert [point.experiment.path for point in of(text).points] == [Path("all"), Path("two")]


def test_a_sweep_has_keys_of_its_own_and_dotted_axes() -> None:
    rates, seeds = of(SWEEPS).sweeps
    assert [axis.key for axis in rates.axes] == ["learning_rates", "cloud.learning_rate"]
    assert [(p.experiment.learning_rates, p.experiment.cloud.learning_rate) for p in rates.points] == [
        *(((0.01,), 0.1), ((0.01,), 0.2)),
        *(((0.1,), 0.1), ((0.1,), 0.2)),
    ]
    assert rates.points[0].experiment.out == Path("runs/study/rates/learning_rates=0.01/cloud.learning_rate=0.1")
    assert rates.points[0].name == "lr on movielens-100k, learning_rates=0.01, cloud.learning_rate=0.1"
    first = seeds.points[0].experiment
    assert (first.model, first.cloud.epochs, first.cloud.patience, first.seeds) == ("din", 7, 2, 1)
    assert rates.points[0].experiment.cloud.epochs == 5


def test_options_hold_for_all_experiments_and_replace_an_axis() -> None:
    found = of(GRID, seeds=1, model="ncf", out=Path("elsewhere"))
    assert [point.experiment.model for point in found.points] == ["ncf", "ncf"]
    assert {point.experiment.seeds for point in found.points} == {1}
    assert found.points[0].experiment.out == Path("elsewhere/movielens-100k/ncf")


def test_data_sets_and_models_restrict_a_grid_and_leave_folders_as_they_are() -> None:
    whole = of(GRID)
    found = whole.only("dataset", ["synthetic"], "--datasets").only("model", ["din[embedding=4]"], "--models")
    assert found.points == [whole.points[3]]
    assert [axis.labels for axis in found.sweeps[0].axes] == [["synthetic[users=50]"], ["din[embedding=4]"]]


def test_a_sweep_without_a_wanted_model_is_left_out() -> None:
    assert [sweep.name for sweep in of(SWEEPS).only("model", ["din"], "--models").sweeps] == ["seeds"]


def test_an_unknown_name_among_those_wanted_is_named_with_the_nearest() -> None:
    with pytest.raises(
        FedctrError, match=r"--datasets: no experiment of the grid has dataset 'movielens'; did you mean"
    ):
        of(GRID).only("dataset", ["movielens"], "--datasets")
    with pytest.raises(FedctrError, match=r"--models: no experiment .* 'xyz'; it has lr, din\[embedding=4\]"):
        of(GRID).only("model", ["lr", "xyz"], "--models")
    with pytest.raises(FedctrError, match="--models: name at least one of lr, din"):
        of(GRID).only("model", [], "--models")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modell = 'a'\naxes.seeds = [1]", "unknown key 'modell'; did you mean model?"),
        ("axes.modell = ['lr']", "modell=lr: unknown key 'modell'; did you mean model?"),
        ("axes.seeds = [1, 0]", "seeds=0: seeds: Input should be greater than or equal to 1, found 0"),
        ("axes.cloud.epoch = [1]", "cloud.epoch=1: unknown key 'cloud.epoch'; did you mean epochs"),
        ("axes.seeds.x = [1]", "seeds.x=1: seeds: Input should be a valid integer"),
        ("seeds = 2\naxes.seeds.x = [1]", "seeds.x=1: seeds: expected a table, found 2"),
        ("axes.seeds = 3", "axes: seeds: expected a list of values, found 3"),
        ("axes.seeds = []", "axes: seeds: expected a list of values, found []"),
        ("axes.seeds = [1, 1]", "axes: seeds: 1 is listed twice"),
        ("axes = 3", "axes: expected a table, found 3"),
        ("[axes]", "axes: name at least one key with a list of values"),
        ("axes.out = ['a', 'b']", "axes: out changes no result, so it is no axis"),
        ("axes.model = ['a:b', 'a-b']", "axes: 2 experiments would share the folder runs/study/a-b; leave one out"),
        ("axes.seeds = [1]\npaths.movielens-100k = ''", "paths: movielens-100k: expected a folder or an archive"),
        ("sweep = []", "sweep: expected at least one [[sweep]] block, found none"),
        ("[[sweep]]\nname = 'a'\nout = 'b'\naxes.seeds = [1]", "sweep a: out: is that of the whole grid, found 'b'"),
        ("sweep = 3", "sweep: expected [[sweep]] blocks, found 3"),
        ("[[sweep]]\naxes.seeds = [1]", "sweep: name: expected letters, digits, - and _, found None"),
        ("[[sweep]]\nname = '../a'\naxes.seeds = [1]", "sweep: name: expected letters, digits, - and _, found '../a'"),
        ("[[sweep]]\nname = 'a'", "sweep a: axes: name at least one key"),
        ("[[sweep]]\nname = 'a'\nseed = 3\naxes.seeds = [1]", "sweep a: unknown key 'seed'; did you mean seeds"),
        ("[[sweep]]\nname='a'\naxes.seeds=[1]\n[[sweep]]\nname='a'\naxes.seeds=[1]", "sweep: 2 are named 'a'; give"),
        ("[[sweep]]\nname='a'\naxes.seeds=[1]\n[axes]\nseeds=[1]", "found both [axes] and [[sweep]]"),
        ("axes.dataset = ['a']\npaths.b = 'x'", "paths: no experiment has the data set 'b'; they have a"),
        ("axes.dataset = ['a']\npaths.a = 3", "paths: a: expected a folder or an archive, found 3"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_experiment_and_key(text: str, message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        of(text)
    said = str(caught.value)
    assert said.startswith(f"{FILE}: {message}")
    assert "\n" not in said


@pytest.mark.parametrize(("text", "grid"), [("seeds = 1", False), ("[axes]", True), ("[[sweep]]", True)])
def test_a_file_without_axes_is_a_single_experiment(text: str, grid: bool) -> None:
    assert is_grid(tomllib.loads(text)) == grid


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("dataset = ['sinthetic']", "unknown data set 'sinthetic'; did you mean synthetic?"),
        ("model = ['lr', 'dinn']", "unknown model 'dinn'; did you mean din"),
        ("model = ['lr', 'fm[embeding=4]']", "model fm has no option 'embeding'; it has embedding"),
        (
            "dataset = ['synthetic']\n[paths]\nsynthetic = 'x'",
            "data set synthetic is generated, not read; leave out its",
        ),
        (
            "strategies = [['gate+proximal', 'proximal+gate']]",
            "strategies: proximal+gate and gate+proximal are the same",
        ),
        ("strategies = [['all']]", "strategies: all is for a single experiment; in a grid name them"),
        ("strategies = [['fine-tunning']]", "unknown strategy 'fine-tunning'; did you mean fine-tuning"),
    ],
)
def test_every_name_is_looked_up_before_anything_is_run(axes: str, message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        of(f"[axes]\n{axes}").check()
    assert str(caught.value).startswith(message)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(FedctrError, match="out: is a file, not a folder; choose another --out"):
        of(GRID, out=tmp_path / "out").check()


def test_the_folder_of_a_single_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "identity.json").touch()
    with pytest.raises(FedctrError, match="holds a single run; choose another --out for the grid"):
        of(GRID, out=tmp_path).check()
