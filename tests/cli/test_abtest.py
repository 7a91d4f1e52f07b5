import json
from collections.abc import Callable
from pathlib import Path

from tests.application import announced
from tests.online.worlds import small_test

Fedctr = Callable[..., tuple[int, str, str]]


def test_a_test_is_run_from_its_file(fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "test.toml").write_text(small_test(Path("other"), model="lr").to_toml())
    code, out, err = fedctr("abtest", "test.toml", "--out", "out")
    assert code == 0
    assert out.splitlines()[-2:] == ["Run folder: out", "Report: out/report.html"]
    assert "Of label-correction against fine-tuning nothing can be said: fewer than 50 users of one of them" in out
    assert "label-correction" in out
    assert announced(err) == [
        "clients",
        "warm-up: days -3 to -2",
        "cloud: lr, before day -1",
        "before the test: days -1 to -1",
        "cloud: lr, before day 0",
        "test: days 0 to 1",
        "cloud: lr, before day 2",
        "test: days 2 to 2",
    ]
    code, again, _ = fedctr("abtest", "test.toml", "--out", "out", "--json")
    assert code == 0
    assert json.loads(again) == json.loads((tmp_path / "out/summary.json").read_text())


def test_what_is_wrong_is_one_line(fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "test.toml").write_text("arms = ['fine-tuning', 'joint']\n")
    assert fedctr("abtest", "test.toml") == (
        2,
        "",
        "fedctr: test.toml: arms: the control is missing; add no-fine-tuning\n",
    )
    code, _, err = fedctr("abtest", "nowhere.toml")
    assert code == 2
    assert err.startswith("fedctr: nowhere.toml: cannot be read")
