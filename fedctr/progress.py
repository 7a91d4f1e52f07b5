"""How long work tells how far it is."""

import sys
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Reporter(Protocol):
    """What long work calls; all methods return at once."""

    def phase(self, name: str, total: int | None = None) -> None:
        """A new phase begins, of so many steps (None if unknown)."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Some steps of the phase are done."""

    def finish(self) -> None:
        """The phase is over, perhaps before all of its steps."""

    def say(self, line: str) -> None:
        """Something worth a line of its own."""

    def experiment(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """The next experiment of several begins, counted from 1; None while the time left is unknown."""


class Silent:
    """Says nothing."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Ignore it."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""

    def say(self, line: str) -> None:
        """Ignore it."""

    def experiment(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """Ignore it."""


class Terminal:
    """A live bar on standard error, or one plain line per phase where that is no terminal."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._live = self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._experiments: TaskID | None = None

    def __enter__(self) -> "Terminal":
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._bar.stop()

    def phase(self, name: str, total: int | None = None) -> None:
        """Start the next bar; the one before stays on screen."""
        if not self._live:
            self.say(name)
            return
        self._task = self._bar.add_task(name, total=total, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the current bar."""
        if self._task is not None:
            self._bar.update(self._task, advance=steps, note=note)

    def finish(self) -> None:
        """Fill the current bar up."""
        if self._task is not None:
            done = self._bar.tasks[self._task].completed
            self._bar.update(self._task, total=done)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def experiment(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """Move the bar of experiments and clear away those of the one before, or print a line."""
        left = "" if seconds_left is None else f"about {_duration(seconds_left)} left"
        if not self._live:
            self.say(f"experiment {number} of {total}: {name}" + (f"; {left}" if left else ""))
            return
        for task in list(self._bar.task_ids):
            if task != self._experiments:
                self._bar.remove_task(task)
        self._task = None
        if self._experiments is None:
            self._experiments = self._bar.add_task("", total=total, note="")
        # The bar's own estimate looks back half a minute, over which most experiments do not end.
        note = f"{left} in all" if left else ""
        self._bar.update(self._experiments, description=f"experiment {number}: {name}", completed=number - 1, note=note)


def _duration(seconds: float) -> str:
    """Hours and minutes, or seconds below two minutes."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
