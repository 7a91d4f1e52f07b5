"""How long work tells how far it is."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

if TYPE_CHECKING:
    from fedctr.live import Live

PATIENCE_SECONDS = 60  # without a terminal, between two lines on the same phase


class Reporter(Protocol):
    """What long work calls; all methods return at once."""

    def phase(self, name: str, total: int | None = None, unit: str = "") -> None:
        """A new phase begins, of so many steps (None if unknown), each of them one of these: ``users``, ``epochs``."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Some steps of the phase are done."""

    def finish(self) -> None:
        """The phase is over, perhaps before all of its steps."""

    def say(self, line: str) -> None:
        """Something worth a line of its own."""

    def row(self, name: str, cells: Mapping[str, str], final: bool = False) -> None:
        """What is known by now of one line of the table that fills in: heading to words; final if all of it is."""

    def experiment(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """The next experiment of several begins, counted from 1; None while the time left is unknown."""


class Silent:
    """Says nothing."""

    def phase(self, name: str, total: int | None = None, unit: str = "") -> None:
        """Ignore it."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""

    def say(self, line: str) -> None:
        """Ignore it."""

    def row(self, name: str, cells: Mapping[str, str], final: bool = False) -> None:
        """Ignore it."""

    def experiment(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """Ignore it."""


@dataclass
class Phase:
    """How far a phase is.

    Attributes:
        name: what is being done.
        total: number of steps; None if unknown.
        unit: what a step is, in the plural; empty if the name says so.
        begun: when, in seconds of some clock.
        done: number of steps so far.
        note: on the last of them.
        ended: when it was over, on the same clock; None until then.
    """

    name: str
    total: int | None
    unit: str
    begun: float
    done: int = 0
    note: str = ""
    ended: float | None = None

    @property
    def count(self) -> str:
        """``472 of 943 users``."""
        counted = f"{self.done:,}" if self.total is None else f"{self.done:,} of {self.total:,}"
        return f"{counted} {self.unit}".rstrip()

    def pace(self, now: float) -> str:
        """``45 users/s``, or a minute where that is less than one; empty before the first step."""
        if not self.done or now <= self.begun:
            return ""
        rate = self.done / (now - self.begun)
        unit = f" {self.unit}" if self.unit else ""
        if rate < 1:
            return f"{60 * rate:.1f}{unit}/min"
        return f"{rate:,.0f}{unit}/s" if rate >= 10 else f"{rate:.1f}{unit}/s"

    def left(self, now: float) -> str:
        """``about 5 min left``, at the pace since the phase began; empty where nothing can be said."""
        if not self.done or self.total is None or self.done >= self.total:
            return ""
        return f"about {duration((now - self.begun) / self.done * (self.total - self.done))} left"


class Lines:
    """Plain lines, for a log.

    Args:
        console: where to.
        clock: seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._phase: Phase | None = None
        self._told = 0.0

    def phase(self, name: str, total: int | None = None, unit: str = "") -> None:
        """Print its name."""
        self._told = self._clock()
        self._phase = Phase(name, total, unit, self._told)
        self.say(name)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Print a line if there has been none for a while."""
        if self._phase is None:
            return
        self._phase.done += steps
        now = self._clock()
        if now - self._told >= PATIENCE_SECONDS:
            self._told = now
            told = [self._phase.count, self._phase.pace(now), self._phase.left(now)]
            self.say(f"{self._phase.name}: {', '.join(part for part in told if part)}")

    def finish(self) -> None:
        """Nothing to add."""

    def say(self, line: str) -> None:
        """Print it."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def row(self, name: str, cells: Mapping[str, str], final: bool = False) -> None:
        """Print it once all of it is known."""
        if final:
            self.say(f"{name}: {', '.join(f'{heading} {cell}' for heading, cell in cells.items() if cell)}")

    def experiment(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """Print its number and its name."""
        left = "" if seconds_left is None else f"; about {duration(seconds_left)} left"
        self.say(f"experiment {number} of {total}: {name}{left}")


class Terminal:
    """Who tells the user on standard error: a live view, plain lines where that is no terminal, or nobody.

    Args:
        quiet: nobody.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live: Live | None = None

    def __enter__(self) -> Reporter:
        if self._quiet:
            return Silent()
        console = Console(file=sys.stderr)
        if not console.is_terminal:
            return Lines(console)
        from fedctr.live import Live

        self._live = Live(console)
        self._live.start()
        return self._live

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()


def duration(seconds: float) -> str:
    """Hours and minutes, or seconds below two minutes."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
