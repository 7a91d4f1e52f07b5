"""Every command of the documentation runs, in a folder of its own for each page, without the network."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.page import PAGES, ROOT, Command, File, Program, Step, steps_of

STEPS = {str(page.relative_to(ROOT)): list(steps_of(page.read_text(encoding="utf-8"))) for page in PAGES}

Fedctr = Callable[..., tuple[int, str, str]]


def do(step: Step, fedctr: Fedctr) -> None:
    """Do what a reader does, in the current folder; ``fedctr`` itself runs in this process, which saves its imports."""
    if isinstance(step, File):
        Path(step.name).write_text(step.text, encoding="utf-8")
    elif isinstance(step, Program):
        exec(compile(step.text, "page", "exec"), {"__name__": "__main__"})
    elif step.words and step.words[0] == "fedctr":
        code, out, err = fedctr(*step.words[1:])
        if step.fails_with is None:
            assert code == 0, f"{step.line}\n{out}\n{err}"
        else:
            assert code == 2, f"{step.line}\n{out}\n{err}"
            assert step.fails_with in err, step.line
    else:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", step.line], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{step.line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(name, marks=pytest.mark.exhaustive if "/tutorials/" in name else ())
        for name, steps in STEPS.items()
        if steps
    ],
)
def test_the_commands_of_a_page_run(page: str, fedctr: Fedctr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # nothing is fetched: what needs the network is marked as not run
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for step in STEPS[page]:
        do(step, fedctr)


@pytest.mark.parametrize(
    ("line", "fails_with"),
    [
        ("false", None),
        ("fedctr bench --dataset sinthetic", None),
        ("fedctr bench --dataset sinthetic", "something else"),
        ("fedctr data list", "unknown data set"),
    ],
)
def test_what_a_page_says_wrongly_is_found(line: str, fails_with: str | None, fedctr: Fedctr) -> None:
    with pytest.raises(AssertionError):
        do(Command(line, fails_with), fedctr)


def test_the_tutorials_run_commands() -> None:
    tutorials = {name: steps for name, steps in STEPS.items() if "/tutorials/" in name or "quickstart" in name}
    elsewhere = {"cluster.md", "deployment.md"}  # by tests of their own, as those pages say
    busy = {name for name, steps in tutorials.items() if any(isinstance(step, Command) for step in steps)}
    assert {Path(name).name for name in set(tutorials) - busy} <= elsewhere
