"""Tables in words, and how they are written: as text, Markdown and LaTeX; and all numbers as CSV."""

import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "[": "{[}",  # at the start of a line LaTeX would take it for an option of the line before
}


@dataclass(frozen=True)
class Block:
    """One table, in words.

    Attributes:
        title: what it is of.
        heading: of the columns.
        lines: the cells below, as many in each line as there are headings.
        left: how many columns stand to the left, being words; the others are numbers.
        notes: what is to be said below, one line each.
    """

    title: str
    heading: list[str]
    lines: list[list[str]]
    left: int
    notes: list[str] = field(default_factory=list)


def text(blocks: Sequence[Block], caption: str) -> str:
    """For a terminal, and below all blocks a caption."""
    parts = []
    for block in blocks:
        table = Table(title=escape(block.title), box=SIMPLE_HEAD, title_justify="left")
        for index, heading in enumerate(block.heading):
            table.add_column(heading, justify="left" if index < block.left else "right", no_wrap=True)
        for line in block.lines:
            table.add_row(*map(escape, line))
        # As wide as it needs to be: a file has no edge.
        console = Console(width=1000, file=io.StringIO(), record=True, color_system=None)
        console.print(table)
        drawn = "\n".join(line.rstrip() for line in console.export_text().splitlines())
        parts.append("\n".join([drawn.rstrip(), *block.notes]))
    return "\n\n".join([*parts, textwrap.fill(caption, 120)]) + "\n"


def markdown(blocks: Sequence[Block], caption: str) -> str:
    """For a README."""
    parts = []
    for block in blocks:
        rule = ["---"] * block.left + ["---:"] * (len(block.heading) - block.left)
        lines = [[cell.strip().replace("|", "\\|").replace("*", "\\*") for cell in line] for line in block.lines]
        table = [f"| {' | '.join(line)} |" for line in (block.heading, rule, *lines)]
        notes = [f"- {note}" for note in block.notes]
        parts.append("\n".join([f"**{block.title}**", "", *table, *([""] if notes else []), *notes]))
    return "\n\n".join([*parts, caption.replace("*", "\\*")]) + "\n"


def latex(blocks: Sequence[Block], caption: str) -> str:
    """For a paper; it needs the package booktabs."""
    parts = []
    for block in blocks:
        form = "l" * block.left + "r" * (len(block.heading) - block.left)
        lines = [f"{' & '.join(_tex(cell.strip()) for cell in line)} \\\\" for line in block.lines]
        notes = [f"\\par {_tex(note)}" for note in block.notes]
        parts.append(
            "\n".join(
                [
                    f"% {block.title}",
                    f"\\begin{{tabular}}{{{form}}}",
                    "\\toprule",
                    f"{' & '.join(map(_tex, block.heading))} \\\\",
                    "\\midrule",
                    *lines,
                    "\\bottomrule",
                    "\\end{tabular}",
                    *notes,
                ]
            )
        )
    said = textwrap.fill(caption, 120, initial_indent="% ", subsequent_indent="% ")
    return "\n\n".join(["% \\usepackage{booktabs}", *parts, said]) + "\n"


def comma_separated(rows: Sequence[Mapping[str, Any]]) -> str:
    """All numbers, unrounded, for other programs; columns in the order in which they first appear."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(column for row in rows for column in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def numbers_of(entry: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The numbers of an entry in ``summary.json`` as a row, nested ones with dots; lists, as of curves, stay there."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            flat |= numbers_of(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            flat[prefix + key] = value
    return flat


def _tex(cell: str) -> str:
    return "".join(_TEX.get(character, character) for character in cell)
