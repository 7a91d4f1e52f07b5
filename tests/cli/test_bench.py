import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedctr.summary import Result
from tests.application import DATASET, MODEL, announced, cell, command, experiment, files, users_of, write_toml
from tests.mischief import alive, interrupt, write_module

pytestmark = pytest.mark.usefixtures("small_cache")

Fedctr = Callable[..., tuple[int, str, str]]
QUICK = ["--dataset", DATASET, "--model", "lr", "--strategies", "no-fine-tuning", "--seeds", "1", "--backend", "inline"]


def write_ratings(folder: Path, *ratings: str) -> None:
    """The official files of MovieLens-100K with two users and two films."""
    folder.mkdir()
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n")
    flags = "|".join(["0"] * 19)
    (folder / "u.item").write_text(f"1|A (1995)|01-Jan-1995||url|{flags}\n2|B (1995)|01-Jan-1995||url|{flags}\n")
    (folder / "u.data").write_text("".join(f"{rating}\n" for rating in ratings))


# ---------------------------------------------------------------------------------------- what it prints


def test_all_strategies_are_ranked_by_gauc_and_choices_are_judged(fedctr: Fedctr, tmp_path: Path) -> None:
    options = ["--strategies", "all,label-correction+gate", "--out", "out"]
    toml = write_toml(tmp_path / "experiment.toml", model="lr", seeds=1, learning_rates=(0.1,), epochs=(1,))
    code, out, err = fedctr("bench", toml.name, *options)
    assert code == 0
    assert "all leaves out head-only: strategy 'head-only' with model 'lr': the model has no deep network" in err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())["strategies"]
    gains = {name: entry["vs_no_fine_tuning"]["gauc_impressions_difference"]["mean"] for name, entry in summary.items()}
    rows = out[out.index("──") : out.index("Tuned with")].splitlines()
    shown = [name for name in (line.split()[0] for line in rows if line.strip()) if name in gains]
    assert len(shown) == len(summary) > 15
    assert shown == sorted(gains, key=lambda name: -gains[name])
    assert {name: entry["gate"]["ungated"] for name, entry in summary.items() if "gate" in entry} == {
        "early-stopping": "fine-tuning",
        "gate": "fine-tuning",
        "mixture": "fine-tuning",
        "label-correction+gate": "label-correction",
    }
    said = " ".join(out.split())
    assert "label-correction+gate removes " in said
    assert " of the harm that label-correction does to users' AUC, and " in said


@pytest.mark.exhaustive
def test_json_is_all_that_reaches_standard_output_on_ray(tmp_path: Path, reference: Result) -> None:
    """Nor does any chatter of Ray or Flower reach standard error. Eight partitions give the same bits as two."""
    write_module(tmp_path, samples=-1)
    toml = write_toml(tmp_path / "experiment.toml", backend="ray", partitions=8)
    ended = command(tmp_path, "bench", toml.name, "--json")
    assert ended.returncode == 0
    assert ended.stdout == (tmp_path / "out" / "summary.json").read_text()
    assert json.loads(ended.stdout) == reference.summary
    told = announced(ended.stderr)
    assert told[:5] == [
        *(f"cloud: {MODEL}, seed {seed}" for seed in (0, 1)),
        *("clients", "validation: 2 strategies x 2 seeds", "test: 3 strategies x 2 seeds"),
    ]
    entries = reference.summary["strategies"]
    assert sorted(line.partition(", vs")[0] for line in told[5:]) == sorted(
        f"{spec}: {_tuned(entry)}user AUC {entry['auc_user_mean']:.4f}" for spec, entry in entries.items()
    )
    assert (tmp_path / "out" / "users.parquet").read_bytes() == (reference.folder / "users.parquet").read_bytes()
    assert alive(tmp_path) == []


def _tuned(entry: dict[str, Any]) -> str:
    """What is told of a strategy's validation, if it was tuned."""
    best = max((trial["auc_user_mean"] for trial in entry["validation"]), default=0.0)
    chosen = f"{entry['learning_rate']} x {entry['epochs']}"
    return f"tuned with {chosen}, validation AUC {best:.4f}, " if entry["validation"] else ""


def test_quiet_leaves_the_result_and_says_nothing_else(fedctr: Fedctr) -> None:
    code, out, err = fedctr("bench", *QUICK, "--out", "out", "--quiet")
    assert (code, err) == (0, "")
    assert "lr on synthetic[users=50]" in out


def test_what_a_strategy_prints_does_not_get_into_json(fedctr: Fedctr, tmp_path: Path) -> None:
    write_module(tmp_path, samples=-1)
    code, out, err = fedctr("bench", *QUICK, "--strategies", "my_module:Raises", "--out", "out", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "chatter" in err


def test_the_table_and_the_run_folder_are_printed(fedctr: Fedctr) -> None:
    code, out, _ = fedctr("bench", *QUICK, "--out", "läufe/a b")
    assert code == 0
    assert "lr on synthetic[users=50]" in out
    assert "no-fine-tuning" in out
    assert out.splitlines()[-2:] == ["Run folder: läufe/a b", "Report: läufe/a b/report.html"]
    assert users_of(Path("läufe/a b"))["user"].nunique() == 50


def test_options_override_the_file(fedctr: Fedctr, tmp_path: Path, reference: Result) -> None:
    toml = write_toml(tmp_path / "experiment.toml", seeds=5, partitions=3, strategies=("pairwise",))
    chosen = ",".join(reference.summary["strategies"])
    code, _, _ = fedctr("bench", toml.name, "--seeds", "2", "--strategies", chosen, "--out", "elsewhere")
    assert code == 0
    assert (tmp_path / "elsewhere/users.parquet").read_bytes() == (reference.folder / "users.parquet").read_bytes()
    assert "partitions = 3\n" in (tmp_path / "elsewhere/config.toml").read_text()


def test_help_teaches_by_an_example(fedctr: Fedctr) -> None:
    code, out, _ = fedctr("bench", "--help")
    assert code == 0
    assert "Example: fedctr bench --dataset movielens-100k" in out
    for option in ("--dataset", "--path", "--model", "--strategies", "--seeds", "--partitions", "--backend", "--out"):
        assert option in out
    assert "label-correction[variant=shift]" in out


# --------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "sinthetic"], "unknown data set 'sinthetic'; did you mean synthetic?"),
        (["--dataset", "synthetic["], "'synthetic[': expected NAME or NAME[option=value,...]"),
        (["--dataset", "synthetic[users=0]"], "data set 'synthetic[users=0]': users is 0; it must be a whole number"),
        (["--dataset", "synthetic[user=5]"], "data set synthetic has no option 'user'; it has users, items,"),
        (["--dataset", "synthetic[seed=99999999999]"], "data set 'synthetic[seed=99999999999]': seed is 99999999999;"),
        (["--dataset", ""], "'': expected NAME or NAME[option=value,...]"),
        (["--model", "dinn"], "unknown model 'dinn'; did you mean din or dien or pnn?"),
        (["--model", "din["], "'din[': expected NAME or NAME[option=value,...]"),
        (["--model", "dïn"], "unknown model 'dïn'; did you mean din"),
        (["--model", "din[depth=2]"], "model din has no option 'depth'; it has embedding, hidden, attention, history"),
        (["--model", "din[embedding=0]"], "model 'din[embedding=0]': embedding is 0; it takes whole numbers of at"),
        (["--model", "din[embedding=x]"], "model 'din[embedding=x]': embedding is 'x'; it takes whole numbers of at"),
        (["--model", "din[hidden=[8,0]]"], "model 'din[hidden=[8,0]]': hidden is [8, 0]; it takes whole numbers of"),
        (["--model", "din[history=-1]"], "model 'din[history=-1]': history is -1; it takes whole numbers of at least"),
        (["--model", "wide-deep[embedding=-1]"], "model 'wide-deep[embedding=-1]': embedding is -1; it takes whole"),
        (["--model", "os:path"], "os:path: not a model; derive it from fedctr.models.model.Model"),
        (["--strategies", "fine-tunning"], "unknown strategy 'fine-tunning'; did you mean fine-tuning or no-fine-tun"),
        (["--strategies", "label-correction[variant=]"], "strategy 'label-correction[variant=]': variant '' is none"),
        (["--strategies", "label-correction[variants=shift]"], "strategy label-correction has no option 'variants'"),
        (["--strategies", "label-correction[variant=shift"], "'label-correction[variant=shift': expected NAME or NAME"),
        (["--strategies", "label-correction[clip=7]"], "strategy 'label-correction[clip=7]': clip 7 must be true or"),
        (["--strategies", "label-correction[strength=nan]"], "strategy 'label-correction[strength=nan]': strength nan"),
        (["--strategies", "logit-adjustment[strength=inf]"], "strategy 'logit-adjustment[strength=inf]': strength inf"),
        (["--strategies", "pairwise,pairwise"], "bench: strategies: pairwise is listed twice"),
        (["--strategies", ","], "bench: strategies: name at least one strategy"),
        (["--strategies", ":"], "strategy ':': expected module:Class, such as my_module:MyClass"),
        (["--strategies", "nowhere:A"], "strategy 'nowhere:A': No module named 'nowhere'; run from the folder that"),
        (["--strategies", "pathlib:Path"], "pathlib:Path: not a strategy; derive it from fedctr.strategy.ClientStrat"),
        (["--path", "nowhere"], "data set synthetic is generated, not read; leave out --path"),
        (["--dataset", "movielens-100k", "--path", "nowhere"], "nowhere: no such file or folder; give a folder or"),
        (["--dataset", "movielens-100k", "--path", "cut.zip"], "cut.zip: not a complete zip archive"),
        (["--dataset", "movielens-100k", "--path", "lonely"], "lonely: it lacks u.data, u.item, u.user"),
        (["--dataset", "movielens-100k", "--path", "empty"], "empty/u.data: the file is empty"),
        (["--dataset", "movielens-100k", "--path", "liked"], "liked: data set movielens-100k: all 3 labels are"),
        (["--dataset", "movielens-100k", "--path", "short"], "short/u.data, line 2"),
        (["--partitions", "51"], "partitions: 51 is more than the 50 users of synthetic; a partition needs a user"),
        (["--partitions", "0"], "bench: partitions: Input should be greater than or equal to 1, found 0"),
        (["--seeds", "0"], "bench: seeds: Input should be greater than or equal to 1, found 0"),
        (["--backend", "rya"], "bench: backend: Input should be 'ray' or 'inline', found 'rya'"),
        (["--out", "other"], "other: holds another run; choose another --out or delete the folder"),
        (["--out", "lonely"], "lonely: holds other files; choose another --out"),
        (["--out", "cut.zip"], "cut.zip: is a file, not a folder; choose another --out"),
        (["--out", "cut.zip/below"], "cut.zip/below: is a file, not a folder; choose another --out"),
        (["--out", "/proc/fedctr"], "/proc/fedctr: cannot be created"),
        (["nowhere.toml"], "nowhere.toml: cannot be read ([Errno 2] No such file or directory: 'nowhere.toml')"),
        (["lonely"], "lonely: cannot be read ([Errno 21] Is a directory: 'lonely')"),
        (["broken.toml"], "broken.toml: not TOML: Invalid value (at line 1, column 9)"),
        (["key.toml"], "key.toml: unknown key 'modell'; did you mean model?"),
        (["rate.toml"], "rate.toml: learning_rates: every learning rate must be a number above 0"),
        (["epochs.toml"], "epochs.toml: epochs: every number of epochs must be at least 1"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(
    arguments: list[str], message: str, fedctr: Fedctr, tmp_path: Path
) -> None:
    with zipfile.ZipFile("whole.zip", "w") as archive:
        archive.writestr("u.data", "1\t1\t5\t881250949\n" * 50)
    (tmp_path / "cut.zip").write_bytes((tmp_path / "whole.zip").read_bytes()[:80])
    write_ratings(tmp_path / "liked", "1\t1\t5\t881250949", "1\t2\t4\t881250950", "2\t2\t4\t881250950")
    write_ratings(tmp_path / "short", "1\t1\t5\t881250949", "1\t2\t4", "2\t2\t1\t881250950")
    write_ratings(tmp_path / "empty")
    (tmp_path / "lonely").mkdir()
    (tmp_path / "lonely" / "mine.txt").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "identity.json").write_text("{}")
    (tmp_path / "broken.toml").write_text("dataset=\n")
    (tmp_path / "key.toml").write_text('modell = "din"\n')
    (tmp_path / "rate.toml").write_text("learning_rates = [nan]\n")
    (tmp_path / "epochs.toml").write_text("epochs = [-1]\n")
    before = files(tmp_path)

    code, out, err = fedctr("bench", *QUICK, "--out", "out", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"fedctr: {message}")
    assert err.count("\n") == 1
    assert files(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--flag"], ["--seeds", "three"], ["one.toml", "two.toml"], ["--out"]])
def test_usage_errors_have_exit_code_2_too(arguments: list[str], fedctr: Fedctr) -> None:
    code, out, err = fedctr("bench", *arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err


def test_training_that_diverges_is_one_line(fedctr: Fedctr, tmp_path: Path) -> None:
    cloud = experiment(Path()).cloud
    toml = write_toml(tmp_path / "experiment.toml", cloud=type(cloud)(learning_rate=1e30))
    code, out, err = fedctr("bench", toml.name)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == f"fedctr: model {MODEL}: training diverged in epoch 1; lower cloud.learning_rate"


def test_a_strategy_that_diverges_is_named_below_the_table(fedctr: Fedctr, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"strategies": ("fine-tuning", "no-fine-tuning"), "learning_rates": (1e20,), "seeds": 1}
    toml = write_toml(tmp_path / "experiment.toml", **keys)
    code, out, err = fedctr("bench", toml.name)
    assert code == 0, err
    rows = users_of(tmp_path / "out").query("split == 'test' and strategy == 'fine-tuning'")
    assert rows["diverged"].sum() > 0
    assert f"diverged and count as AUC 0.5: fine-tuning ({rows['diverged'].sum()})" in " ".join(out.split())
    assert set(rows.loc[rows["diverged"], "auc"].dropna()) == {0.5}


def test_an_error_of_several_lines_is_printed_as_one(fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("raise RuntimeError('one\\n  two\\n')")
    code, _, err = fedctr("bench", *QUICK, "--strategy", "own:A")
    assert (code, err) == (2, "fedctr: strategy 'own:A': importing it raised RuntimeError: one two\n")


# ------------------------------------------------------------------------------------------------ Ctrl-C


@pytest.mark.parametrize("backend", [pytest.param("inline", marks=pytest.mark.exhaustive), "ray"])
def test_ctrl_c_keeps_what_is_finished_and_the_next_start_goes_on(
    backend: str, fedctr: Fedctr, tmp_path: Path, reference: Result
) -> None:
    write_module(tmp_path, samples=-1)
    strategies = ("no-fine-tuning", "fine-tuning", "my_module:Slow")
    toml = write_toml(tmp_path / "experiment.toml", strategies=strategies, partitions=2, backend=backend)
    code, out, err, seconds = interrupt(tmp_path, ["bench", toml.name], began=tmp_path / "begun")
    assert (code, out) == (2, "")
    kept = {name for name in files(tmp_path / "out") if name.startswith("cells/")}
    first, second = (cell("validation", "fine-tuning", seed) for seed in (0, 1))
    # On Ray, the worker that is not busy with the slow one may have got to the second seed.
    assert kept == {first} or (backend == "ray" and kept == {first, second})
    assert err.splitlines()[-1] == (
        f"fedctr: interrupted; {len(kept)} finished parts are kept in out; run it again with --out out to go on"
    )
    assert "Traceback" not in err
    assert seconds < 30
    assert alive(tmp_path) == []
    assert not (tmp_path / "out" / ".stop").exists()
    when = (tmp_path / "out" / first).stat().st_mtime_ns

    assert fedctr("bench", toml.name, "--backend", "inline")[0] == 0
    users = users_of(tmp_path / "out")
    for strategy in strategies[:2]:
        rows = (table[table["strategy"] == strategy].reset_index(drop=True) for table in (users, reference.users))
        assert next(rows).equals(next(rows))
    assert (tmp_path / "out" / first).stat().st_mtime_ns == when
