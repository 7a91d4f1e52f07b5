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
