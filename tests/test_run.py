import json
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from fedctr.benchmark import bench
from fedctr.cloud import VERSION as CLOUD_VERSION
from fedctr.data.split import Days, Fractions, SplitRule
from fedctr.data.synthetic import Synthetic
from fedctr.errors import FedctrError
from fedctr.fingerprint import fingerprint
from fedctr.folder import write_whole
from fedctr.progress import Silent
from fedctr.retention import Retention
from fedctr.run import VERSION, Run
from fedctr.strategy import ClientStrategy, strategies
from fedctr.summary import Result, conclude, kept_result
from strategies.gate import Gate
from strategies.head_only import HeadOnly
from strategies.label_correction import LabelCorrection
from tests.application import cell, command, experiment, files, users_of, write_toml

pytestmark = pytest.mark.usefixtures("small_cache")

# Fine-tuning that ends the whole process, as a power cut would, while a file "armed" lies in the current folder.
FATAL = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from fedctr import ClientStrategy

@dataclass(frozen=True)
class Fatal(ClientStrategy):
    name = "fatal"
    def targets(self, local, published):
        if Path("armed").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return local.labels
"""


SHARING = """
from dataclasses import dataclass
from fedctr import ClientStrategy

@dataclass(frozen=True)
class Sharing(ClientStrategy):
    name = "sharing"
    def targets(self, local, published):
        return local.labels * {share}
"""


class Recorder(Silent):
    """Keeps the phases with their number of steps, and counts the steps."""

    def __init__(self) -> None:
        self.phases: dict[str, int | None] = {}
        self.steps = 0

    def phase(self, name: str, total: int | None = None, unit: str = "") -> None:
        self.phases[name.partition(":")[0]] = total

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps


# One trial, so that there is nothing to choose and validation is left out.
PLAIN: dict[str, Any] = {"strategies": ("no-fine-tuning", "fine-tuning"), "learning_rates": (0.1,), "epochs": (1,)}


@pytest.fixture(scope="module")
def plain(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run of plain fine-tuning with one trial."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDCTR_CACHE", str(shared_cache))
        return bench(experiment(tmp_path_factory.mktemp("plain") / "run", **PLAIN))


def open_run(out: Path, **keys: Any) -> Run:
    return Run.open(experiment(out, **keys), Silent())


def test_a_finished_run_holds_these_files(reference: Result) -> None:
    tuned = ["fine-tuning", "label-correction[variant=shift]"]
    assert files(reference.folder) == {
        *("config.toml", "identity.json", "summary.json", "users.parquet", "log.txt", "comparison.png", "cost.json"),
        *(f"published/seed-{seed}/{name}" for seed in (0, 1) for name in ("model.safetensors", "published.json")),
        *(cell("validation", strategy, seed) for strategy in tuned for seed in (0, 1)),
        *(cell("test", strategy, seed) for strategy in ["no-fine-tuning", *tuned] for seed in (0, 1)),
    }


def test_the_folder_says_what_was_run(reference: Result) -> None:
    run = experiment(reference.folder)
    assert (reference.folder / "config.toml").read_text() == run.to_toml()
    identity = json.loads((reference.folder / "identity.json").read_text())
    assert len(identity.pop("content_hash")) == 64
    assert set(identity.pop("versions")) == {"fedctr", "torch"}
    assert identity.pop("model_code").startswith("fedctr.models.din:DIN ")
    assert identity.pop("cloud_version") == CLOUD_VERSION
    assert identity.pop("bench_version") == VERSION
    assert identity == run.science()
    assert (reference.folder / "log.txt").read_text().count("fine-tuning: learning rate") == 1
    assert json.loads((reference.folder / "summary.json").read_text()) == reference.summary
    pd.testing.assert_frame_equal(users_of(reference.folder), reference.users)


def test_a_finished_run_is_repeated_without_any_work(reference: Result) -> None:
    before = {name: (reference.folder / name).read_bytes() for name in files(reference.folder)}
    recorder = Recorder()
    again = bench(experiment(reference.folder), recorder)
    assert again.summary == reference.summary
    assert (again.reused, recorder.phases, recorder.steps) == (True, {}, 0)
    pd.testing.assert_frame_equal(again.users, reference.users)
    after = {name: (reference.folder / name).read_bytes() for name in files(reference.folder)}
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []


def test_only_cells_that_are_missing_are_computed(reference: Result, tmp_path: Path) -> None:
    shutil.copytree(reference.folder, tmp_path / "run")
    missing = open_run(tmp_path / "run").cell("test", "fine-tuning", 1)
    content = missing.read_bytes()
    missing.unlink()
    recorder = Recorder()
    bench(experiment(tmp_path / "run", partitions=5), recorder)
    assert (recorder.phases["validation"], recorder.phases["test"], recorder.steps) == (0, 50, 50)
    assert missing.read_bytes() == content
    assert (tmp_path / "run" / "users.parquet").read_bytes() == (reference.folder / "users.parquet").read_bytes()


def test_a_strategy_whose_code_is_put_back_has_its_own_numbers_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))

    def run_with(share: float) -> Result:
        (tmp_path / "sharing.py").write_text(SHARING.format(share=share))
        monkeypatch.delitem(sys.modules, "sharing", raising=False)
        return bench(experiment(tmp_path / "run", **{**PLAIN, "strategies": ("sharing:Sharing",), "seeds": 1}))

    first, other, again, once_more = (run_with(share) for share in (1.0, 0.2, 1.0, 1.0))
    assert not other.users.equals(first.users)
    pd.testing.assert_frame_equal(again.users, first.users, check_exact=True)
    assert again.summary == first.summary != other.summary
    assert [each.reused for each in (first, other, again, once_more)] == [False, False, False, True]


def test_a_run_that_is_killed_while_it_is_concluded_is_not_finished(
    plain: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else rows of one code and a summary of another might be taken for the same run's."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run = open_run(shutil.copytree(plain.folder, tmp_path / "run"), **PLAIN)
    assert kept_result(run)
    monkeypatch.setattr("fedctr.summary.write_rows", killed)
    with pytest.raises(KeyboardInterrupt):
        conclude(run)
    assert kept_result(run) is None


def test_a_summary_from_before_it_named_its_cells_is_made_again(plain: Result, tmp_path: Path) -> None:
    run = open_run(shutil.copytree(plain.folder, tmp_path / "run"), **PLAIN)
    summary = {key: value for key, value in plain.summary.items() if key != "cells"}
    (run.folder / "summary.json").write_text(json.dumps(summary))
    assert kept_result(run) is None


def test_a_run_that_is_killed_goes_on_and_ends_the_same(
    fedctr: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "my.py").write_text(FATAL)
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning", "fine-tuning", "my:Fatal"), "seeds": 2}
    toml = write_toml(tmp_path / "experiment.toml", **keys)
    (tmp_path / "armed").touch()
    killed = command(tmp_path, "bench", toml.name)
    assert killed.returncode == -9
    kept = files(tmp_path / "out")
    assert {name for name in kept if name.startswith("cells")} == {cell("validation", "fine-tuning", 0)}
    assert not kept & {"users.parquet", "summary.json"}

    # A process may also be killed while it writes.
    test_cell = Path(cell("test", "fine-tuning", 1)).name
    cut_short = "out/.summary.json.part", f"out/cells/.{test_cell}.part"
    for name in cut_short:
        (tmp_path / name).write_text("half a fi")
    (tmp_path / "out/published/.seed-1.part").mkdir()
    (tmp_path / "out/published/seed-1/model.safetensors").unlink()
    (tmp_path / "out/published/seed-1/published.json").unlink()
    (tmp_path / "out/published/seed-1").rmdir()
    (tmp_path / "armed").unlink()
    assert fedctr("bench", toml.name)[0] == 0
    assert fedctr("bench", toml.name, "--out", "whole")[0] == 0
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    for name in ("users.parquet", "summary.json", "identity.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("keys", [{"partitions": 7}, {"backend": "ray"}])
def test_partitions_and_backend_do_not_make_another_run(keys: dict[str, Any], tmp_path: Path) -> None:
    open_run(tmp_path / "run")
    open_run(tmp_path / "run", **keys)
    ((key, value),) = keys.items()
    assert f"{key} = {json.dumps(value)}\n" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize(
    "keys",
    [
        {"dataset": "synthetic[users=60]"},
        {"model": "lr"},
        {"strategies": ("no-fine-tuning", "fine-tuning")},
        {"seeds": 3},
        {"learning_rates": (0.03, 0.1)},
        {"epochs": (1,)},
        {"batch_size": 16},
        {"optimiser": "adam"},
        {"local": Retention(most=5)},
        {"on_bad_row": "skip"},
        {"split": Fractions(window="earlier")},
        {"split": Days()},
        {"cloud": replace(experiment(Path()).cloud, patience=1)},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_a_folder_with_another_run_is_refused_and_left_alone(keys: dict[str, Any], tmp_path: Path) -> None:
    open_run(tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")}
    with pytest.raises(FedctrError, match="run: holds another run; choose another --out or delete the folder"):
        open_run(tmp_path / "run", **keys)
    assert {name: (tmp_path / "run" / name).read_bytes() for name in files(tmp_path / "run")} == before


class Daily(Synthetic):
    """The generator, with a protocol of its own."""

    split: ClassVar[SplitRule] = Days(validation=4, test=20, hours_from_utc=8)


def test_a_run_follows_the_data_sets_own_protocol_unless_told_otherwise(plain: Result, tmp_path: Path) -> None:
    daily = f"{__name__}:Daily[users=50]"
    own = bench(experiment(tmp_path / "own", dataset=daily, **PLAIN))
    told = bench(experiment(tmp_path / "told", split=Daily.split, **PLAIN))
    other = bench(experiment(tmp_path / "other", dataset=daily, split=Fractions(), **PLAIN))
    assert (own.users["local_samples"] == 0).any()
    assert own.users.equals(told.users)
    assert other.users.equals(plain.users)
    split = {"validation": 4, "test": 20, "window": "later", "hours_from_utc": 8, "unit": "days"}
    for folder in (own.folder, told.folder):
        assert json.loads((folder / "identity.json").read_text())["split"] == split
        assert tomllib.loads((folder / "config.toml").read_text())["split"] == split
    bench(experiment(own.folder, dataset=daily, split=Daily.split, **PLAIN))  # is the same run


def test_devices_that_have_lost_samples_leave_the_cloud_and_the_test_part_as_they_were(
    plain: Result, tmp_path: Path
) -> None:
    lost = Retention(keep_negatives=0.3, most=12)
    thinned, again = (
        bench(experiment(tmp_path / str(count), local=lost, partitions=count, **PLAIN)) for count in (2, 7)
    )
    assert thinned.users.equals(again.users)
    for seed in (0, 1):
        model = f"published/seed-{seed}/model.safetensors"
        assert (thinned.folder / model).read_bytes() == (plain.folder / model).read_bytes()
    assert thinned.summary["global_ctr"] == plain.summary["global_ctr"]
    before, after = (each.users[each.users["strategy"] == "no-fine-tuning"] for each in (plain, thinned))
    local = ["local_samples", "local_positives", "local_ctr"]
    assert after.drop(columns=local).equals(before.drop(columns=local))
    assert after["local_samples"].max() == 12
    assert after["local_ctr"].mean() > before["local_ctr"].mean() + 0.1
    assert not thinned.users.drop(columns=local).equals(plain.users.drop(columns=local))


def test_adam_is_another_way_to_tune_from_the_same_model(plain: Result, tmp_path: Path) -> None:
    adam, again = (
        bench(experiment(tmp_path / str(count), optimiser="adam", partitions=count, **PLAIN)) for count in (2, 7)
    )
    assert adam.users.equals(again.users)
    untuned = adam.users["strategy"] == "no-fine-tuning"
    pd.testing.assert_frame_equal(adam.users[untuned], plain.users[untuned], check_exact=True)
    tuned = ~untuned & (adam.users["samples"] > 0)
    assert (adam.users["log_loss"] != plain.users["log_loss"])[tuned].all()


def test_the_same_spec_with_other_data_is_another_run(tmp_path: Path) -> None:
    open_run(tmp_path / "run")
    identity = tmp_path / "run" / "identity.json"
    identity.write_text(identity.read_text().replace('"content_hash": "', '"content_hash": "0'))
    with pytest.raises(FedctrError, match="holds another run"):
        open_run(tmp_path / "run")


@pytest.mark.parametrize("older", [None, VERSION - 1])
def test_what_another_engine_has_begun_is_another_run(older: int | None, tmp_path: Path) -> None:
    """What no strategy and no model imports is in no fingerprint; before there was a number, the key was absent."""
    open_run(tmp_path / "run")
    file = tmp_path / "run" / "identity.json"
    identity = json.loads(file.read_text()) | {"bench_version": older}
    file.write_text(json.dumps({key: value for key, value in identity.items() if value is not None}))
    with pytest.raises(FedctrError, match="holds another run"):
        open_run(tmp_path / "run")


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_an_identity_that_cannot_be_read_is_another_run(content: str, tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text(content)
    with pytest.raises(FedctrError, match="holds another run"):
        open_run(tmp_path)


def test_a_folder_with_other_files_is_refused_and_an_empty_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(FedctrError, match="holds other files; choose another --out"):
        open_run(tmp_path)
    assert files(tmp_path) == {"mine.txt"}
    (tmp_path / "empty").mkdir()
    open_run(tmp_path / "empty")


def test_a_run_killed_before_its_first_file_was_whole_can_start_again(tmp_path: Path) -> None:
    (tmp_path / ".identity.json.part").write_text("{")
    open_run(tmp_path)
    assert files(tmp_path) == {"config.toml", "identity.json"}


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_in_the_way_is_named(out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FedctrError, match="is a file, not a folder; choose another --out"):
        open_run(tmp_path / out)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_created_is_named() -> None:
    with pytest.raises(FedctrError, match=r"/proc/fedctr: cannot be created \(.*\); choose another --out"):
        open_run(Path("/proc/fedctr"))


@pytest.mark.parametrize("taken", ["summary.json", "log.txt", "users.parquet"])
def test_what_cannot_be_written_is_named_and_leaves_nothing_half_written(taken: str, tmp_path: Path) -> None:
    run = open_run(tmp_path / "run")
    (run.folder / taken / "x").mkdir(parents=True)
    with pytest.raises(FedctrError, match=f"{taken}: cannot be written"):
        {
            "summary.json": lambda: write_whole(run.folder / taken, lambda file: file.write_text("{}")),
            "users.parquet": lambda: write_whole(run.folder / taken, pd.DataFrame({"a": [1]}).to_parquet),
            "log.txt": lambda: run.log("line"),
        }[taken]()
    assert files(run.folder) == {"config.toml", "identity.json"}


def test_what_fails_while_it_is_written_leaves_the_old_file(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run")
    write_whole(run.folder / "summary.json", lambda file: file.write_text("old"))

    def fail(file: Path) -> None:
        file.write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_whole(run.folder / "summary.json", fail)
    assert (run.folder / "summary.json").read_text() == "old"
    assert files(run.folder) == {"config.toml", "identity.json", "summary.json"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"strategies": ("fine-tunning",)}, "unknown strategy 'fine-tunning'; did you mean fine-tuning"),
        ({"strategies": ("fine-tuning+head-only",)}, "strategy 'fine-tuning+head-only': fine-tuning adds nothing"),
        (
            {"strategies": ("label-correction+head-only",), "model": "lr"},
            "strategy 'label-correction+head-only' with model 'lr': the model has no deep network",
        ),
        ({"strategies": ("head-only[layers=9]",)}, "strategy 'head-only[layers=9]' with model 'din["),
        (
            {"strategies": ("head-only+label-correction", "label-correction+head-only")},
            "strategies: label-correction+head-only and head-only+label-correction are the same; leave one out",
        ),
        ({"strategies": ("all", "head-only[layers=9]")}, "strategy 'head-only[layers=9]' with model 'din["),
        ({"strategies": ("al",)}, "unknown strategy 'al'"),
        ({"model": "dinn"}, "unknown model 'dinn'; did you mean din or dien or pnn?"),
        ({"model": "din[depth=2]"}, "model din has no option 'depth'"),
        ({"dataset": "sinthetic"}, "unknown data set 'sinthetic'; did you mean synthetic?"),
        ({"partitions": 51}, "partitions: 51 is more than the 50 users of synthetic; a partition needs a user"),
    ],
)
def test_a_run_that_cannot_be_has_no_folder(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError) as caught:
        open_run(tmp_path / "run", **keys)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "run").exists()


def test_a_run_without_a_folder_gets_a_new_one_below_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run.open(experiment(Path()).model_copy(update={"out": None}), Silent())
    assert run.folder.parts[0] == "runs"
    assert run.folder.name.startswith("synthetic-din-embedding-4-hidden-8-attention-4-history-5-20")
    assert run.folder.is_dir()


def test_cells_of_specs_that_look_alike_are_kept_apart() -> None:
    options = (
        "[variant=smoothed,strength=1.5]",
        "[variant=smoothed,strength=15]",
        "[variant=shift]",
        "[variant=shift,clip=true]",
        f"[variant=smoothed,strength={'1' * 90}]",
    )
    cells = {cell("test", f"label-correction{option}", 0) for option in options}
    assert len(cells) == 5
    assert all(len(Path(name).name) < 100 for name in cells)


def test_a_composed_strategy_is_kept_by_the_code_of_all_that_it_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(tmp_path / "run", strategies=("label-correction+head-only+gate",))

    def place() -> Path:
        return run.cell("test", "label-correction+head-only+gate", 0)

    before = place()
    assert place() == before
    for changed in (LabelCorrection, HeadOnly, Gate):
        with monkeypatch.context() as patch:
            patch.setattr(
                "fedctr.strategy.fingerprint", lambda cls, changed=changed: fingerprint(cls) + "x" * (cls is changed)
            )
            assert place() != before
    assert place() == before


# ------------------------------------------------------------------------------------- all strategies


class Listening(Silent):
    """Keeps every line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def open_all(folder: Path, *named: str, **keys: Any) -> tuple[Run, list[str]]:
    """A run of all strategies and what was said of those left out."""
    reporter = Listening()
    run = Run.open(experiment(folder, strategies=("all", *named), **keys), reporter)
    return run, [line for line in reporter.lines if line.startswith("all ")]


def test_all_is_every_strategy_of_the_shelf_with_its_default_options(tmp_path: Path) -> None:
    run, left_out = open_all(tmp_path / "run")
    assert {spec: repr(strategy) for spec, strategy in run.strategies.items()} == {
        name: repr(cls()) for name, cls in strategies.classes().items()
    }
    assert left_out == []


def test_the_folder_spells_out_what_all_stood_for_and_is_gone_on_with_either_way(tmp_path: Path) -> None:
    run, _ = open_all(tmp_path / "run")
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert config["strategies"] == list(run.strategies) == [*strategies.classes()]
    run.leave()
    open_all(tmp_path / "run")
    open_run(tmp_path / "run", strategies=tuple(config["strategies"]))


def test_all_leaves_out_what_does_not_fit_and_says_why(tmp_path: Path) -> None:
    run, left_out = open_all(tmp_path / "lr", model="lr")
    without_head, without_layer, *without_dense = left_out
    networks = ["head-only", "knn-per", "low-rank", "scale-only"]
    assert sorted(set(strategies.classes()) - set(run.strategies)) == networks
    assert without_head.startswith(
        "all leaves out head-only: strategy 'head-only' with model 'lr': the model has no deep network"
    )
    assert without_layer == (
        "all leaves out knn-per: strategy 'knn-per' with model 'lr': "
        "knn-per reads the penultimate layer of a deep network, and lr has none"
    )
    assert all("with model 'lr': the model has no dense layers" in line for line in without_dense)
    run, left_out = open_all(tmp_path / "lossy", local=Retention(most=5))
    judging = ["early-stopping", "gate", "knn-per", "mixture"]
    assert sorted(set(strategies.classes()) - set(run.strategies)) == judging
    assert left_out == [
        f"all leaves out {name}: local: strategy {name} judges by the latest local samples, which must not be lost"
        for name in judging
    ]


def test_beside_all_stand_strategies_with_options_and_none_stands_twice(tmp_path: Path) -> None:
    run, _ = open_all(tmp_path / "run", "label-correction+gate", "gap-only", "proximal[weight=0.1]")
    assert list(run.strategies)[:3] == ["label-correction+gate", "gap-only", "proximal[weight=0.1]"]
    others = set(strategies.classes()) - {"gap-only", "proximal"}  # whose default is what was named
    assert set(list(run.strategies)[3:]) == others


def test_all_leaves_out_a_strangers_strategy_without_default_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Demanding(ClientStrategy):
        """Wants to be told."""

        name: ClassVar[str] = "demanding"
        weight: float

    shelf = {**strategies.classes(), "demanding": Demanding}
    monkeypatch.setattr(strategies, "classes", lambda: shelf)
    run, left_out = open_all(tmp_path / "run")
    assert "demanding" not in run.strategies
    assert len(left_out) == 1
    assert left_out[0].startswith("all leaves out demanding: strategy 'demanding': ")
    assert "missing 1 required positional argument: 'weight'" in left_out[0]
