import io

import pytest
from rich.console import Console

from fedctr.live import Live
from fedctr.progress import Lines, Phase, Reporter, Silent, Terminal


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def work(reporter: Reporter) -> None:
    reporter.phase("validation: 3 strategies", 4, "users")
    reporter.advance(1, "fine-tuning")
    reporter.say("a line that is " + "long " * 40 + "and has [brackets]")
    reporter.row("pairwise", {"tuned with": "", "user AUC": "0.6"})
    reporter.advance(2, "pairwise")
    reporter.row("pairwise", {"tuned with": "", "user AUC": "0.7"}, final=True)
    reporter.finish()


def experiments(reporter: Reporter) -> None:
    reporter.experiment(1, 15, "lr on movielens-100k", None)
    reporter.phase("cloud", 3)
    reporter.experiment(2, 15, "din on movielens-100k", 95.4)
    reporter.phase("test", 3)
    reporter.experiment(3, 15, "pnn on movielens-100k", 3600.0)
    reporter.experiment(4, 15, "ncf on movielens-100k", 9000.0)


# ----------------------------------------------------------------------------------------- the pace


def test_a_phase_knows_its_pace_and_the_time_left() -> None:
    phase = Phase("test", 943, "users", begun=10.0)
    assert (phase.count, phase.pace(12.0), phase.left(12.0)) == ("0 of 943 users", "", "")
    phase.done = 200
    assert (phase.count, phase.pace(20.0)) == ("200 of 943 users", "20 users/s")
    assert phase.left(20.0) == "about 37 s left"  # 743 users at 20 a second
    phase.done = 943
    assert phase.left(60.0) == ""


def test_a_slow_phase_is_counted_by_the_minute_and_one_of_unknown_length_has_no_end() -> None:
    slow = Phase("cloud", 100, "epochs", begun=0.0, done=1)
    assert (slow.pace(40.0), slow.left(40.0)) == ("1.5 epochs/min", "about 66 min left")
    endless = Phase("reading", None, "", begun=0.0, done=5000)
    assert (endless.count, endless.pace(10.0), endless.left(10.0)) == ("5,000", "500/s", "")


# ---------------------------------------------------------------------------------------- plain lines


def test_silence_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    work(Silent())
    experiments(Silent())
    with Terminal(quiet=True) as reporter:
        work(reporter)
    assert capfd.readouterr() == ("", "")


def test_without_a_terminal_there_is_a_plain_line_for_each_phase_and_for_each_row_that_is_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with Terminal() as reporter:
        work(reporter)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "validation: 3 strategies",
        "a line that is " + "long " * 40 + "and has [brackets]",
        "pairwise: user AUC 0.7",
    ]


def test_without_a_terminal_a_long_phase_tells_now_and_then_how_far_it_is() -> None:
    clock, file = Clock(), io.StringIO()
    reporter = Lines(Console(file=file), clock)
    reporter.phase("test", 943, "users")
    for seconds in (10, 60, 10, 49, 1):  # 10, 70, 80, 129 and 130 seconds after its beginning
        clock.now += seconds
        reporter.advance(100)
    assert file.getvalue().splitlines() == [
        "test",
        "test: 200 of 943 users, 2.9 users/s, about 4 min left",
        "test: 500 of 943 users, 3.8 users/s, about 115 s left",
    ]


def test_without_a_terminal_each_experiment_is_a_line_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal() as reporter:
        experiments(reporter)
    assert capsys.readouterr().err.splitlines() == [
        "experiment 1 of 15: lr on movielens-100k",
        "cloud",
        "experiment 2 of 15: din on movielens-100k; about 95 s left",
        "test",
        "experiment 3 of 15: pnn on movielens-100k; about 60 min left",
        "experiment 4 of 15: ncf on movielens-100k; about 2 h 30 min left",
    ]


# --------------------------------------------------------------------------------------- the live view


def seen(live: Live, width: int = 120) -> list[str]:
    """The view as it is now, line by line."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(live.view())
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_view_has_phases_with_their_times_the_pace_and_the_table() -> None:
    clock = Clock()
    live = Live(Console(file=io.StringIO()), clock)
    live.phase("cloud: din, seed 0", 30, "epochs")
    clock.now += 12
    live.phase("test: 2 strategies x 3 seeds", 943, "users")
    clock.now += 10
    live.advance(200, "pairwise")
    live.row("no-fine-tuning", {"user AUC": "0.6953"})
    live.row("mine[x=1]", {"user AUC": "0.6960 (1 of 3 seeds)", "vs": "+0.0007"})
    lines = seen(live)
    assert lines[0] == "cloud: din, seed 0  12 s"
    assert lines[1].startswith("test: 2 strategies x 3 seeds  ━")
    assert lines[1].endswith("  200 of 943 users  20 users/s  about 37 s left  pairwise")
    table = [line.split() for line in lines[2:]]
    assert ["user", "AUC", "vs"] in table
    assert ["no-fine-tuning", "0.6953"] in table
    assert ["mine[x=1]", "0.6960", "(1", "of", "3", "seeds)", "+0.0007"] in table


def test_a_phase_without_steps_shows_how_long_it_has_waited() -> None:
    clock = Clock()
    live = Live(Console(file=io.StringIO()), clock)
    live.phase("clients")
    clock.now += 4
    assert seen(live) == ["clients  4 s"]


def test_a_row_is_filled_in_where_it_stands() -> None:
    live = Live(Console(file=io.StringIO()))
    for name in ("b", "a"):
        live.row(name, {"user AUC": ""})
    live.row("b", {"user AUC": "0.7"}, final=True)
    rows = [line.split() for line in seen(live) if line.strip()[:1] in ("a", "b")]
    assert rows == [["b", "0.7"], ["a"]]


def test_a_new_experiment_clears_what_was_shown_of_the_one_before() -> None:
    live = Live(Console(file=io.StringIO()))
    experiments(live)
    live.row("pairwise", {"user AUC": "0.7"})
    live.experiment(5, 15, "fm on movielens-100k", 60)
    (line,) = seen(live)
    assert line.startswith("experiment 5 of 15: fm on movielens-100k  ━")
    assert line.endswith("  about 60 s left in all")


def test_a_narrow_terminal_loses_the_end_of_a_line_and_not_the_view() -> None:
    live = Live(Console(file=io.StringIO()))
    live.phase("validation: 12 strategies x 5 seeds", 943, "users")
    live.advance(1, "label-correction with a note of several words")
    (line,) = seen(live, width=90)
    assert line.startswith("validation: 12 strategies x 5 seeds  ")
    assert "  1 of 943 users" in line
    assert line.endswith("…")


def test_a_terminal_is_left_with_the_phases_and_lines_but_without_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with Terminal() as reporter:
        work(reporter)
    out, err = capsys.readouterr()
    assert out == ""
    last = err.rpartition("\x1b[2K")[2]  # what was drawn after the view was last wiped away
    assert "validation: 3 strategies  0 s" in last
    assert "0.7" not in last
    assert "and has [brackets]" in err
