import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fedctr.cloud import CloudTraining
from fedctr.errors import FedctrError
from fedctr.online.abtest import abtest
from fedctr.online.arms import assigned
from fedctr.online.outcome import Outcome
from fedctr.online.run import OnlineRun
from fedctr.online.settings import ABTest, Arm
from fedctr.progress import Silent
from fedctr.published import Published
from tests.application import command, files
from tests.online.worlds import TABLE, small_test

# Fine-tuning that ends the whole process on day 2, as a power cut would, while a file "armed" is in the current folder.
FATAL = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from strategies.fine_tuning import FineTuning

@dataclass(frozen=True)
class Fatal(FineTuning):
    name = "fatal"
    def targets(self, local, published):
        if Path("armed").exists() and Path("out/days/day+1").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return local.labels
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The small test, run once."""
    return abtest(small_test(tmp_path_factory.mktemp("abtest") / "run"))


def rows_of(folder: Path) -> dict[str, bytes]:
    """The rows of a run folder, file by file, and its models."""
    kept = [file for file in files(folder) if file.endswith((".parquet", ".safetensors", "summary.json"))]
    return {file: (folder / file).read_bytes() for file in sorted(kept)}


def test_every_user_is_in_one_arm_from_its_first_day_on(outcome: Outcome) -> None:
    daily = outcome.daily
    assert (daily.groupby("user")["arm"].nunique() == 1).all()
    assert set(daily["arm"]) == {"no-fine-tuning", "fine-tuning", "label-correction"}
    assert not daily.duplicated(["user", "day"]).any()
    assert sorted(daily["day"].unique()) == [-1, 0, 1, 2]


def test_arms_differ_from_day_0_on_and_the_control_never_tunes(outcome: Outcome) -> None:
    daily = outcome.daily
    expected = (daily["day"] >= 0) & (daily["arm"] != "no-fine-tuning")
    assert np.array_equal(daily["tuned"], expected)


def test_a_device_holds_what_was_shown_to_it_on_all_days_before(outcome: Outcome) -> None:
    last = outcome.daily[outcome.daily["day"] == 2].set_index("user")["local_samples"]
    shown = pd.concat(pd.read_parquet(outcome.folder / f"days/day{day:+d}/shown.parquet") for day in (-3, -2, -1, 0, 1))
    assert last.to_dict() == shown["user"].value_counts().reindex(last.index, fill_value=0).to_dict()


def test_the_cloud_trains_anew_before_the_test_and_every_other_day(outcome: Outcome) -> None:
    folders = sorted((outcome.folder / "published").iterdir())
    assert [folder.name for folder in folders] == ["before-day+0", "before-day+2", "before-day-1"]
    global_ctr = [json.loads((folder / "published.json").read_text())["global_ctr"] for folder in folders]
    assert len(set(global_ctr)) == 3


def test_the_summary_adds_up(outcome: Outcome) -> None:
    rows = outcome.daily[outcome.daily["day"] >= 0]
    for name, entry in outcome.summary["arms"].items():
        own = rows[rows["arm"] == name]
        assert entry["clicks"] == own["clicks"].sum()
        assert entry["ctr"] == own["clicks"].sum() / (TABLE.shown * len(own))
        assert entry["clicks_per_user"] == own["clicks"].sum() / own["user"].nunique()
        assert 0 <= entry["regret"] < 1
        assert name in outcome.table()
    assert [(entry["arm"], entry["baseline"]) for entry in outcome.summary["lifts"]] == [
        ("fine-tuning", "no-fine-tuning"),
        ("label-correction", "no-fine-tuning"),
        ("label-correction", "fine-tuning"),
    ]
    assert json.loads((outcome.folder / "summary.json").read_text()) == outcome.summary


def test_what_devices_are_sent_in_a_day_adds_up(outcome: Outcome) -> None:
    rows = outcome.daily[(outcome.daily["day"] >= 0) & (outcome.daily["arm"] == "label-correction")]
    published = Published.load(outcome.folder / "published" / "before-day+0")[0]
    weights = 4 * sum(value.numel() for value in published.model.parameters()) + 4  # and the global CTR
    visit = TABLE.candidates * len(OnlineRun.open(small_test(outcome.folder), Silent()).dataset.item_codes[0]) * 4
    down = (2 * weights + visit * len(rows) / rows["user"].nunique()) / 3  # two models, three days
    entry = outcome.bill["label-correction"]
    assert entry["bytes_down"] == pytest.approx(down)
    assert entry["seconds"] > 0
    assert entry["operations"] > 0
    assert outcome.bill["no-fine-tuning"]["bytes_down"] == entry["bytes_up"] == 0
    assert "What it costs a device" in outcome.table()


def test_days_and_curve_are_kept(outcome: Outcome) -> None:
    days, curve = (pd.read_parquet(outcome.folder / f"{name}.parquet") for name in ("days", "curve"))
    assert len(days) == 4 * 3
    assert days["clicks"].sum() == outcome.daily["clicks"].sum()
    assert len(curve) == 3 * 3 * 2
    last = curve[curve["day"] == 2].iloc[0]
    assert last["mean"] == outcome.summary["lifts"][0]["ctr"]["mean"]


def test_partitions_change_no_bit(outcome: Outcome, tmp_path: Path) -> None:
    abtest(small_test(tmp_path / "out", partitions=3))
    assert rows_of(tmp_path / "out") == rows_of(outcome.folder)


def test_a_finished_run_is_read_again(outcome: Outcome) -> None:
    before = (outcome.folder / "log.txt").read_text()
    again = abtest(small_test(outcome.folder))
    assert again.summary == outcome.summary
    assert (outcome.folder / "log.txt").read_text() == before


def test_a_run_that_was_interrupted_goes_on_to_the_same_result_and_table(outcome: Outcome, tmp_path: Path) -> None:
    class Impatient(Silent):
        def advance(self, steps: int = 1, note: str = "") -> None:
            if note.startswith("day 0"):
                raise KeyboardInterrupt

    class FilledIn(Silent):
        def __init__(self) -> None:
            self.table: dict[str, Mapping[str, str]] = {}

        def row(self, name: str, cells: Mapping[str, str], final: bool = False) -> None:
            self.table[name] = cells

    settings, filled_in = small_test(tmp_path / "out"), FilledIn()
    with pytest.raises(KeyboardInterrupt, match=r"4 finished days are kept in .*; run it again with --out"):
        abtest(settings, Impatient())
    abtest(settings, filled_in)
    assert rows_of(tmp_path / "out") == rows_of(outcome.folder)
    assert filled_in.table == {
        name: {"users": f"{arm['users']:,}", "clicks": f"{arm['clicks']:,}", "CTR": f"{arm['ctr']:.4f}"}
        for name, arm in outcome.summary["arms"].items()
    }


@pytest.mark.exhaustive
def test_a_run_that_was_killed_goes_on_to_the_same_result(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(FATAL)
    arms = (Arm("no-fine-tuning"), Arm("deadly:Fatal"))
    settings = small_test(Path("out"), arms=arms, model="lr", cloud=CloudTraining(epochs=1))
    (tmp_path / "test.toml").write_text(settings.to_toml())
    (tmp_path / "armed").touch()
    assert command(tmp_path, "abtest", "test.toml").returncode == -9
    (tmp_path / "armed").unlink()
    killed = sorted((tmp_path / "out/days").iterdir())
    assert len(killed) == 5
    assert command(tmp_path, "abtest", "test.toml").returncode == 0
    assert command(tmp_path, "abtest", "test.toml", "--out", "whole").returncode == 0
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "whole")


def test_in_an_aa_test_all_arms_do_what_the_control_does(tmp_path: Path) -> None:
    same = abtest(small_test(tmp_path / "aa", aa=True, model="lr"))
    assert not same.daily["tuned"].any()
    assert "A/A test" in same.table()
    assert same.conclusion()[0].startswith("A/A test: ")


def test_another_salt_puts_users_into_other_arms() -> None:
    users = np.arange(30_000)
    one, other = (assigned(0, salt, users, 3) for salt in ("", "x"))
    assert np.bincount(one) == pytest.approx(np.full(3, 10_000), abs=4 * (30_000 * 2 / 9) ** 0.5)
    assert (one == other).mean() == pytest.approx(1 / 3, abs=0.02)
    assert np.array_equal(assigned(0, "", users[7:9], 3), one[7:9])


def test_a_client_that_fails_ends_the_test_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brittle.py").write_text(
        "from strategies.fine_tuning import FineTuning\n"
        "class Brittle(FineTuning):\n"
        "    name = 'brittle'\n"
        "    def targets(self, local, published):\n"
        "        raise ValueError('too brittle')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = small_test(tmp_path / "out", arms=(Arm("no-fine-tuning"), Arm("brittle:Brittle")), model="lr")
    with pytest.raises(FedctrError, match=r"day 0: strategy brittle:Brittle: client 0, user \d+: ValueError: too brit"):
        abtest(settings)
    assert len(OnlineRun.open(settings, Silent()).shown) == 3


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"arms": ["no-fine-tuning"]}, "arms: a test compares at least two"),
        ({"arms": ["fine-tuning", "label-correction"]}, "arms: the control is missing; add no-fine-tuning"),
        ({"arms": ["no-fine-tuning"] * 2}, "arms: 2 are named 'no-fine-tuning'; give each a name of its own"),
        ({"arms": [{"strategy": "no-fine-tuning", "learning_rat": 1}]}, "unknown key 'arms.0.learning_rat'; did you"),
        ({"arms": [{"strategy": "fine-tuning", "epochs": 0}]}, "arms.0: epochs 0 must be at least 1"),
        ({"world": {"user": 9}}, "unknown key 'world.user'; did you mean users"),
        ({"world": {"items": 30}}, "world: items 30 must be at least candidates 60"),
        ({"dayz": 9}, "unknown key 'dayz'; did you mean days"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(keys: dict[str, object], message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        ABTest.of(keys, "test.toml")
    assert str(caught.value).startswith(f"test.toml: {message}")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"arms": (Arm("no-fine-tuning"), Arm("fine-tunning"))},
            "unknown strategy 'fine-tunning'; did you mean fine-t",
        ),
        ({"arms": (Arm("no-fine-tuning"), Arm("head-only")), "model": "lr"}, "strategy 'head-only' with model 'lr': "),
        ({"model": "dinn"}, "unknown model 'dinn'; did you mean din"),
        ({"partitions": 49}, "partitions: 49 is more than the 48 users of synthetic"),
        ({"world": replace(TABLE, users=2)}, "arms: no user of 2 falls into "),
        ({"world": replace(TABLE, ctr=2.0)}, "ctr is 2.0; it must be a number from 0.001 to 0.999"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(
    keys: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FedctrError) as caught:
        abtest(small_test(tmp_path / "out", **keys))
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_another_test_is_not_written_into_the_same_folder(outcome: Outcome) -> None:
    with pytest.raises(FedctrError, match="holds another run"):
        abtest(small_test(outcome.folder, seed=1))
