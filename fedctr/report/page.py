"""What a report consists of, and the HTML file that it becomes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fedctr.report.drawing import NARROW, inline, recoloured, save

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure as Canvas


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: plain text.
        lead: whether it is set large, as the answer at the top is.
    """

    text: str
    lead: bool = False
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what stands there.
        value: what it is sorted by; None for something that is always last.
    """

    text: str
    value: float | str | None


@dataclass(frozen=True)
class Table:
    """Rows under a heading, sortable by any column.

    Attributes:
        caption: what it shows.
        columns: the heading.
        rows: as wide as the heading; the first cell names the row.
        note: how to read it; may be empty.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    kind: ClassVar[str] = "table"

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers and nothing else."""
        columns: Iterator[tuple[Cell, ...]] = zip(*self.rows, strict=True)
        found = tuple(all(not isinstance(cell.value, str) for cell in column) for column in columns)
        return found or (False,) * len(self.columns)


@dataclass(frozen=True)
class Figure:
    """A picture and the numbers that it shows.

    Attributes:
        name: of its file, if it is written as one; no other figure of the report has it.
        title: a few words above it.
        caption: how to read it.
        size: width and height in inches; up to ``drawing.NARROW`` wide, text stays readable on a phone.
        draw: draws on an empty canvas of that size.
        numbers: the same as a table.
    """

    name: str
    title: str
    caption: str
    size: tuple[float, float]
    draw: Callable[["Canvas"], None]
    numbers: Table
    kind: ClassVar[str] = "figure"

    @property
    def wide(self) -> bool:
        """Whether it is scrolled on a phone, for it would not be readable if it were made to fit."""
        return self.size[0] > NARROW

    def svg(self, report: int) -> str:
        """As a part of the page on which its report has this number."""
        return inline(f"{self.name}-{report}", self.size, self.draw)

    def save(self, folder: Path) -> list[Path]:
        """As ``NAME.svg`` and ``NAME.png``.

        Raises:
            FedctrError: when a file cannot be written.
        """
        return save(self.name, self.size, self.draw, folder)


@dataclass(frozen=True)
class Picture:
    """A picture that was drawn before; its numbers stand in the table that follows it.

    Attributes:
        name: no other figure of the report has it.
        title: a few words above it.
        caption: how to read it.
        drawn: the content of an SVG file by Matplotlib.
    """

    name: str
    title: str
    caption: str
    drawn: str
    wide: ClassVar[bool] = True
    numbers: ClassVar[None] = None
    kind: ClassVar[str] = "figure"

    def svg(self, report: int) -> str:
        """As a part of the page on which its report has this number."""
        return recoloured(self.drawn, f"{self.name}-{report}")


@dataclass(frozen=True)
class Listing:
    """Text as a file holds it.

    Attributes:
        caption: which file.
        text: its content.
    """

    caption: str
    text: str
    kind: ClassVar[str] = "listing"


Block = Text | Table | Figure | Picture | Listing


@dataclass(frozen=True)
class Section:
    """A question and its answer.

    Attributes:
        title: the heading.
        blocks: in reading order.
    """

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """What one folder has to tell.

    Attributes:
        title: what was run, in a few words.
        facts: its size, in a line.
        origin: the folder.
        answer: the sentence by which the run is quoted.
        sections: in reading order.
    """

    title: str
    facts: str
    origin: str
    answer: str
    sections: tuple[Section, ...]

    @property
    def figures(self) -> list[Figure]:
        """All figures."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Figure)]


def render(reports: Sequence[Report], made: str) -> str:
    """One HTML page that needs nothing beside itself.

    Args:
        reports: at least one; each has its part of the page.
        made: by what and when the page was made.
    """
    return _template().render(reports=reports, made=made, style=_read("style.css"), script=_read("tables.js"))


def number(value: float | None, form: str = ".4f") -> Cell:
    """A figure, or a dash where there is none."""
    return Cell("-", None) if value is None else Cell(format(value, form), value)


def _read(name: str) -> str:
    return (files("fedctr.report") / "template" / name).read_text(encoding="utf-8")


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # other commands need not wait for it

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_read("page.html"))


def words(*cells: Any) -> tuple[Cell, ...]:
    """Cells of plain words."""
    return tuple(Cell(str(cell), str(cell)) for cell in cells)
