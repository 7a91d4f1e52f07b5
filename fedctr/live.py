"""The live view in a terminal: phases, how fast and how long yet, and the table that fills in."""

import time
from collections.abc import Callable, Iterator, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live as Display
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fedctr.progress import Phase, duration

REFRESHES = 2  # a second; more would flicker and tell nothing new
PAST = 8  # phases that are over and still shown
BAR = 30  # columns


class Live:
    """A calm view that is drawn in place, and leaves the phases with the time that each took when it stops.

    Args:
        console: where to.
        clock: seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phases: list[Phase] = []
        self._rows: dict[str, Mapping[str, str]] = {}
        self._experiment: tuple[int, int, str, str] | None = None
        self._console = console
        self._over = False
        self._display = Display(
            get_renderable=self.view, console=console, refresh_per_second=REFRESHES, vertical_overflow="crop"
        )

    def start(self) -> None:
        """Begin to draw."""
        self._display.start()

    def stop(self) -> None:
        """Leave the phases on screen, without the table, whose final form the command prints."""
        self._end_phase()
        self._over = True
        self._display.stop()

    def phase(self, name: str, total: int | None = None, unit: str = "") -> None:
        """Begin a phase; the one before is over."""
        self._end_phase()
        self._phases.append(Phase(name, total, unit, self._clock()))

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the bar."""
        if self._phases:
            self._phases[-1].done += steps
            self._phases[-1].note = note

    def finish(self) -> None:
        """The phase is over."""
        self._end_phase()

    def say(self, line: str) -> None:
        """Print a line above the view."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def row(self, name: str, cells: Mapping[str, str], final: bool = False) -> None:
        """Fill a line of the table in."""
        self._rows[name] = cells

    def experiment(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """Begin anew, below the bar of experiments."""
        left = "" if seconds_left is None else f"about {duration(seconds_left)} left in all"
        self._experiment = number, total, name, left
        self._phases.clear()
        self._rows.clear()

    def view(self) -> RenderableType:
        """Everything as it is now."""
        return Group(*self._parts())

    def _parts(self) -> Iterator[RenderableType]:
        now = self._clock()
        if self._experiment:
            number, total, name, left = self._experiment
            yield _bar(f"experiment {number} of {total}: {name}", number - 1, total, left)
        over = [phase for phase in self._phases if phase.ended is not None]
        for phase in over[-PAST:]:
            assert phase.ended is not None
            yield Text(f"{phase.name}  {duration(phase.ended - phase.begun)}", style="dim")
        for phase in self._phases:
            if phase.ended is None:
                told = [phase.count if phase.total else "", phase.pace(now), phase.left(now), phase.note]
                waited = "" if phase.done else duration(now - phase.begun)
                yield _bar(phase.name, phase.done, phase.total, *(part for part in (*told, waited) if part))
        if self._rows and not self._over:
            yield self._table()

    def _table(self) -> Table:
        headings = list(dict.fromkeys(heading for cells in self._rows.values() for heading in cells))
        table = Table("", *headings, box=SIMPLE_HEAD)
        for name, cells in self._rows.items():
            table.add_row(escape(name), *(escape(cells.get(heading, "")) for heading in headings))
        return table

    def _end_phase(self) -> None:
        if self._phases and self._phases[-1].ended is None:
            self._phases[-1].ended = self._clock()


def _bar(name: str, done: int, total: int | None, *told: str) -> Table:
    """A name, a bar if it is known how long it has to be, and what else there is to tell, as far as there is room."""
    line = Table.grid(padding=(0, 2))
    line.add_column(no_wrap=True)
    cells: list[RenderableType] = [Text(name)]
    if total:
        line.add_column(no_wrap=True)
        cells.append(ProgressBar(total, min(done, total), width=BAR))
    line.add_column()  # Rich takes room from the columns that may wrap; the words in it are cut instead.
    line.add_row(*cells, Text("  ".join(told), no_wrap=True, overflow="ellipsis"))
    return line
