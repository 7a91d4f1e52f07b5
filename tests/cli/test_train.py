import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.application import DATASET, announced, files

pytestmark = pytest.mark.usefixtures("small_cache")

Fedctr = Callable[..., tuple[int, str, str]]
QUICK = ["--dataset", DATASET, "--model", "lr", "--rounds", "2", "--seeds", "1", "--backend", "inline"]


def test_the_best_round_of_every_seed_and_the_run_folder_are_printed(fedctr: Fedctr) -> None:
    code, out, err = fedctr("train", *QUICK, "--seeds", "2", "--out", "läufe/a b")
    assert code == 0
    first, second, folder, report = out.splitlines()
    assert (folder, report) == ("Run folder: läufe/a b", "Report: läufe/a b/report.html")
    assert "trained by rounds" in Path("läufe/a b/report.html").read_text(encoding="utf-8")
    rounds = pd.read_csv(Path("läufe/a b/rounds.csv"))
    for seed, line in enumerate((first, second)):
        later = rounds[(rounds["seed"] == seed) & (rounds["round"] > 0)]
        best = later.iloc[int(later["log_loss"].argmin())]
        assert line == (
            f"seed {seed}: round {best['round']:.0f} of 2 is published, "
            f"validation log loss {best['log_loss']:.4f}, AUC {best['auc']:.4f}"
        )
    assert announced(err) == ["clients", "federated: lr, seed 0", "federated: lr, seed 1"]


def test_json_is_the_published_rounds_and_quiet_says_nothing(fedctr: Fedctr) -> None:
    code, out, err = fedctr("train", *QUICK, "--out", "out", "--json", "--quiet")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["folder"] == "out"
    (best,) = found["published"]
    rounds = pd.read_csv("out/rounds.csv").query("round > 0")
    assert (best["seed"], best["log_loss"]) == (0, rounds["log_loss"].min())


def test_a_model_is_trained_and_then_personalised(fedctr: Fedctr) -> None:
    assert fedctr("train", *QUICK, "--aggregation", "fedadam[eta=0.01]", "--out", "trained")[0] == 0
    bench = ["--dataset", DATASET, "--model", "lr", "--seeds", "1", "--backend", "inline", "--published", "trained"]
    code, out, err = fedctr("bench", *bench, "--strategies", "no-fine-tuning,fine-tuning", "--out", "tuned")
    assert code == 0
    assert "fine-tuning" in out
    assert "cloud" not in err
    name = "published/seed-0/model.safetensors"
    assert (Path("trained") / name).read_bytes() == (Path("tuned") / name).read_bytes()


def test_options_override_the_file(fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "training.toml").write_text(
        f'dataset = "{DATASET}"\nmodel = "lr"\nrounds = 9\nbackend = "inline"\nseeds = 1\npersonal = ["bias"]\n'
    )
    code, out, _ = fedctr("train", "training.toml", "--rounds", "1", "--users-per-round", "0.5", "--out", "out")
    assert code == 0
    assert "round 1 of 1" in out
    toml = (tmp_path / "out/config.toml").read_text()
    assert "users_per_round = 0.5\n" in toml
    assert 'personal = [\n    "bias",\n]' in toml


def test_malformed_rows_of_a_log_of_ones_own_stop_it_or_are_left_out_and_counted(
    fedctr: Fedctr, tmp_path: Path
) -> None:
    rows = [f"u{user},i{time % 3},{time},{(user + time) % 2}" for user in range(3) for time in range(12)]
    log, own = tmp_path / "log.csv", ["--dataset", "csv", "--path", "log.csv", "--partitions", "2", "--out", "out"]
    log.write_text("\n".join(["user,item,time,label", *rows[:20], "u1,i1,late,1", *rows[20:]]) + "\n")
    columns = "".join(f'{key} = "{key}"\n' for key in ("user", "item", "time", "label"))
    (tmp_path / "log.toml").write_text(f'samples = "log.csv"\n{columns}')
    code, _, err = fedctr("train", *QUICK, *own)
    assert (code, Path("out").exists()) == (2, False)
    assert "log.csv, line 22, field time: found 'late'" in err
    code, out, err = fedctr("train", *QUICK, *own, "--on-bad-row", "skip")
    assert code == 0
    assert "is published" in out
    assert "1 malformed row" in err


def test_help_teaches_by_an_example(fedctr: Fedctr) -> None:
    code, out, _ = fedctr("train", "--help")
    assert code == 0
    assert "Example: fedctr train --dataset movielens-100k --model din --aggregation fedadam" in out
    assert "fedadam[eta=0.01]" in out
    for option in ("--aggregation", "--strategy", "--rounds", "--users-per-round", "--dropout", "--personal", "--out"):
        assert option in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "sinthetic"], "unknown data set 'sinthetic'; did you mean synthetic?"),
        (["--model", "dinn"], "unknown model 'dinn'; did you mean din or dien or pnn?"),
        (["--aggregation", "fedadamm"], "train: unknown aggregation 'fedadamm'; did you mean fedadam"),
        (["--aggregation", "fedadam["], "train: 'fedadam[': expected NAME or NAME[option=value,...]"),
        (["--strategy", "fine-tunning"], "unknown strategy 'fine-tunning'; did you mean fine-tuning or no-fine-tuning"),
        (["--strategy", "no-fine-tuning"], "strategy: no-fine-tuning changes nothing, so nothing would be trained"),
        (["--users-per-round", "2"], "train: users_per_round: Input should be less than or equal to 1, found 2.0"),
        (["--on-bad-row", "ignore"], "train: on_bad_row: Input should be 'stop' or 'skip', found 'ignore'"),
        (["--rounds", "0"], "train: rounds: Input should be greater than or equal to 1, found 0"),
        (["--stragglers", "0.5"], "train: stragglers: a slow user gets through one epoch only; give epochs at least 2"),
        (["--personal", "head"], "personal: 'head' is none of the parameters of lr: "),
        (["--partitions", "51"], "partitions: 51 is more than the 50 users of synthetic; a partition needs a user"),
        (["--out", "other"], "other: holds another run; choose another --out or delete the folder"),
        (["key.toml"], "key.toml: unknown key 'round'; did you mean rounds or "),
        (["nowhere.toml"], "nowhere.toml: cannot be read ([Errno 2] No such file or directory: 'nowhere.toml')"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(
    arguments: list[str], message: str, fedctr: Fedctr, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "identity.json").write_text("{}")
    (tmp_path / "key.toml").write_text("round = 3\n")
    before = files(tmp_path)
    code, out, err = fedctr("train", *QUICK, "--out", "out", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"fedctr: {message}")
    assert err.count("\n") == 1
    assert files(tmp_path) == before
