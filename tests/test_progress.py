import pytest

from fedctr.progress import Silent, Terminal


def work(reporter: Silent | Terminal) -> None:
    reporter.phase("validation: 3 strategies", 4)
    reporter.advance(1, "fine-tuning")
    reporter.say("a line that is " + "long " * 40 + "and has [brackets]")
    reporter.advance(2, "pairwise")
    reporter.finish()


def test_silence_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    work(Silent())
    assert capfd.readouterr() == ("", "")


def test_without_a_terminal_there_is_one_plain_line_for_each_phase(
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
    ]


def test_a_terminal_shows_a_bar_with_steps_and_notes_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with Terminal() as reporter:
        work(reporter)
    out, err = capsys.readouterr()
    assert out == ""
    last = [line for line in err.splitlines() if "validation: 3 strategies" in line][-1]
    assert "3/3" in last  # the phase is over, though a fourth step was announced
    assert "pairwise" in last


def experiments(reporter: Silent | Terminal) -> None:
    reporter.experiment(1, 15, "lr on movielens-100k", None)
    reporter.phase("cloud", 3)
    reporter.experiment(2, 15, "din on movielens-100k", 95.4)
    reporter.phase("test", 3)
    reporter.experiment(3, 15, "pnn on movielens-100k", 3600.0)
    reporter.experiment(4, 15, "ncf on movielens-100k", 9000.0)


def test_without_a_terminal_each_experiment_is_a_line_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    experiments(Silent())
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


def test_a_terminal_keeps_the_bar_of_experiments_and_clears_those_of_the_one_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    with Terminal() as reporter:
        experiments(reporter)
    last = capsys.readouterr().err.rpartition("experiment 4: ncf on movielens-100k")[2]
    assert "3/15" in last
    assert "about 2 h 30 min left in all" in last
    assert "cloud" not in last
    assert "test" not in last
