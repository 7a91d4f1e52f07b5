import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import pytest

from fedctr.data.describe import describe
from fedctr.data.reading import Reading
from fedctr.data.split import Days, Fractions, SplitRule
from fedctr.data.synthetic import Synthetic
from tests.application import call_main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs ``fedctr ARGUMENTS`` with a cache of its own; returns exit code, stdout and stderr."""
    monkeypatch.setenv("FEDCTR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.path", [*sys.path])

    return lambda *arguments: call_main(monkeypatch, capsys, *arguments)


def test_describe_prints_figures_quantiles_and_a_histogram(run: Run) -> None:
    code, out, err = run("data", "describe", "synthetic[users=100]")
    assert (code, err) == (0, "")
    for part in ("users", "100", "global CTR (training)", "mean absolute drift", "95 %", "samples per user", "██"):
        assert part in out


def test_describe_prints_json_and_nothing_else(run: Run) -> None:
    code, out, err = run("data", "describe", "synthetic[users=100]", "--json")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert (figures["dataset"], figures["users"], figures["items"]) == ("synthetic", 100, 500)
    assert {"samples", "global_ctr", "ctr", "drift", "local_ctr"} <= figures.keys()
    assert list(figures["drift"]) == ["p5", "p25", "p50", "p75", "p95"]


class Daily(Synthetic):
    split: ClassVar[SplitRule] = Days(test=20)


def test_describe_cuts_a_data_set_as_its_own_protocol_does(run: Run) -> None:
    own, usual = (json.loads(run("data", "describe", name, "--json")[1]) for name in (f"{__name__}:Daily", "synthetic"))
    dataset = Synthetic().read(None, Reading())
    assert own == asdict(describe(dataset, Daily.split))
    assert usual == asdict(describe(dataset, Fractions()))
    assert own["one_class_test_users"] != usual["one_class_test_users"]


def test_describe_saves_a_picture_only_when_asked(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("data", "describe", "synthetic[users=100]")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert run("data", "describe", "synthetic[users=100]", "--picture", "here.png")[0] == 0
    assert (tmp_path / "here.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "sinthetic"], "fedctr: unknown data set 'sinthetic'; did you mean synthetic?\n"),
        (["describe", "movielens-100k", "--path", "nowhere"], "fedctr: nowhere: no such file or folder; give a folder"),
        (["describe", "synthetic[users=0]"], "fedctr: data set 'synthetic[users=0]': users is 0; it must be a whole"),
        (["get", "synthetic"], "fedctr: data set synthetic is generated: there is nothing to fetch\n"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("data", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_list_names_every_data_set(run: Run) -> None:
    code, out, _ = run("data", "list")
    assert code == 0
    assert "movielens-100k" in out
    assert "synthetic" in out
    found = {entry["name"]: entry for entry in json.loads(run("data", "list", "--json")[1])}
    assert found["movielens-1m"]["citation"].startswith("Harper and Konstan")
    assert found["taobao-ads"]["home"] == "https://tianchi.aliyun.com/dataset/56"
    assert found["synthetic"]["options"]["drift"] == 0.8


def test_a_new_data_set_keeps_the_contract_until_it_is_broken(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = "Wrote evening-clicks. Next: pip install -e evening-clicks; fedctr data check evening-clicks --path FILES\n"
    assert run("data", "new", "evening-clicks") == (0, said, "")
    monkeypatch.chdir("evening-clicks")
    lines = [f"u{n % 3},i{n % 7},{n},{n % 5 // 4}" for n in range(60)]
    Path("clicks.csv").write_text("\n".join(["user,item,time,click", *lines]))
    code, out, err = run("data", "check", "evening_clicks:EveningClicks", "--path", "clicks.csv")
    assert (code, err) == (0, "")
    assert "kept    refuses clicks.csv if it is noise" in out

    source = Path("evening_clicks.py").read_text()
    Path("late_clicks.py").write_text(
        source.replace("(user - 1, item - 1, click, time)", "(user - 1, item - 1, click, -time)")
    )
    code, out, _ = run("data", "check", "late_clicks:EveningClicks", "--path", "clicks.csv")
    assert code == 1
    assert "broken  gives times in seconds since 1970\n        sample 0 has -57, expected seconds from 0 to" in out
    assert out.splitlines()[-1] == "late_clicks:EveningClicks: 1 rule broken"


@pytest.mark.parametrize("command", ["list", "get", "describe", "check", "new"])
def test_help_teaches_by_an_example(run: Run, command: str) -> None:
    code, out, _ = run("data", command, "--help")
    assert code == 0
    assert f"Example: fedctr data {command}" in out


def test_help_shows_how_options_are_given(run: Run) -> None:
    """The brackets are those of a spec, not of rich markup."""
    assert "synthetic[users=5000]" in run("data", "describe", "--help")[1]
