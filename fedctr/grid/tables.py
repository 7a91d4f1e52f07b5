"""The tables of a grid: as text, Markdown and LaTeX, one block for each sweep, and as CSV with all numbers."""

import csv
import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fedctr.grid.rows import Row, columns, rows
from fedctr.grid.work import Outcome
from fedctr.result_table import difference, number

CAPTION = (
    "Differences in user AUC with 95 % intervals (paired bootstrap over users and seeds); * excludes 0 after "
    "correction for all comparisons of its own experiment, not for those of the whole table. Users: those with both "
    "classes in test."
)
FIGURES = ["strategy", "user AUC", "GAUC", "vs no-fine-tuning", "vs fine-tuning", "users", "seeds"]
_LEFT = 1  # of the figures are words
_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "[": "{[}",  # at the start of a line LaTeX would take it for an option of the line before
}


@dataclass(frozen=True)
class Block:
    """The table of one sweep, in words.

    Attributes:
        title: what was run.
        heading: of the columns: axes, then figures.
        lines: one for each experiment and strategy; an axis is empty where it repeats the line above.
        axes: how many columns are axes.
        notes: what failed, diverged or was skipped, one line each.
    """

    title: str
    heading: list[str]
    lines: list[list[str]]
    axes: int
    notes: list[str]


def text(outcomes: Sequence[Outcome]) -> str:
    """For a terminal."""
    parts = []
    for block in _blocks(outcomes):
        table = Table(title=escape(block.title), box=SIMPLE_HEAD, title_justify="left")
        for index, heading in enumerate(block.heading):
            left = index < block.axes + _LEFT
            table.add_column(heading, justify="left" if left else "right", no_wrap=True)
        for line in block.lines:
            table.add_row(*map(escape, line))
        # As wide as it needs to be: a file has no edge.
        console = Console(width=1000, file=io.StringIO(), record=True, color_system=None)
        console.print(table)
        drawn = "\n".join(line.rstrip() for line in console.export_text().splitlines())
        parts.append("\n".join([drawn.rstrip(), *block.notes]))
    return "\n\n".join([*parts, textwrap.fill(CAPTION, 120)]) + "\n"


def markdown(outcomes: Sequence[Outcome]) -> str:
    """For a README."""
    parts = []
    for block in _blocks(outcomes):
        rule = ["---"] * (block.axes + _LEFT) + ["---:"] * (len(block.heading) - block.axes - _LEFT)
        lines = [[cell.replace("|", "\\|").replace("*", "\\*") for cell in line] for line in block.lines]
        table = [f"| {' | '.join(line)} |" for line in (block.heading, rule, *lines)]
        notes = [f"- {note}" for note in block.notes]
        parts.append("\n".join([f"**{block.title}**", "", *table, *([""] if notes else []), *notes]))
    return "\n\n".join([*parts, CAPTION.replace("*", "\\*")]) + "\n"


def latex(outcomes: Sequence[Outcome]) -> str:
    """For a paper; it needs the package booktabs."""
    parts = []
    for block in _blocks(outcomes):
        form = "l" * (block.axes + _LEFT) + "r" * (len(block.heading) - block.axes - _LEFT)
        lines = [f"{' & '.join(map(_tex, line))} \\\\" for line in block.lines]
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
    return (
        "\n\n".join(
            [
                "% \\usepackage{booktabs}",
                *parts,
                textwrap.fill(CAPTION, 120, initial_indent="% ", subsequent_indent="% "),
            ]
        )
        + "\n"
    )


def comma_separated(outcomes: Sequence[Outcome]) -> str:
    """All numbers, unrounded, for other programs."""
    found = rows(outcomes)
    file = io.StringIO()
    writer = csv.DictWriter(file, columns(found), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return file.getvalue()


WRITERS: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "table.txt": text,
    "table.md": markdown,
    "table.tex": latex,
    "table.csv": comma_separated,
}


def _blocks(outcomes: Sequence[Outcome]) -> list[Block]:
    return [_block(list(some)) for _, some in groupby(outcomes, lambda outcome: outcome.sweep.name)]


def _block(outcomes: Sequence[Outcome]) -> Block:
    sweep = outcomes[0].sweep
    keys = [axis.key for axis in sweep.axes]
    lines: list[list[str]] = []
    before: list[str] = []
    for outcome in outcomes:
        place = [outcome.point.coordinates[key] for key in keys]
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, place, strict=False)))
        shown = [""] * same + place[same:]
        status = "skipped" if outcome.skipped else "failed"
        figures = (
            [_figures(row) for row in rows([outcome])] if outcome.summary else [[status] + [""] * len(FIGURES[1:])]
        )
        for figure in figures:
            lines.append(shown + figure)
            shown = [""] * len(keys)
        before = place
    heading = ["data set" if key == "dataset" else key for key in keys]
    return Block(title_of(outcomes), heading + list(FIGURES), lines, len(keys), _notes(outcomes))


def title_of(outcomes: Sequence[Outcome]) -> str:
    """The name of a sweep, with the model and the data set if there is only one."""
    models, datasets = (
        list(dict.fromkeys(getattr(outcome.point.experiment, key) for outcome in outcomes))
        for key in ("model", "dataset")
    )
    constant = [*(models if len(models) == 1 else []), *([f"on {datasets[0]}"] if len(datasets) == 1 else [])]
    return f"{outcomes[0].sweep.name}: {' '.join(constant)}" if constant else outcomes[0].sweep.name


def _figures(row: Row) -> list[str]:
    if row["status"] != "done":
        return [row["strategy"], row["status"], *[""] * len(FIGURES[2:])]
    return [
        row["strategy"],
        number(row["auc_user_mean"]),
        number(row["gauc_impressions"]),
        _against(row, "vs_no_fine_tuning"),
        _against(row, "vs_fine_tuning"),
        f"{row['users_covered']:,}",
        str(row["seeds"]),
    ]


def _against(row: Row, baseline: str) -> str:
    if row["strategy"] == baseline.removeprefix("vs_").replace("_", "-") or f"{baseline}.mean" not in row:
        return ""
    limits = ("mean", "low", "high", "corrected_low", "corrected_high")
    return difference({limit: row[f"{baseline}.{limit}"] for limit in limits}).rstrip()


def _notes(outcomes: Sequence[Outcome]) -> list[str]:
    notes = []
    for outcome in outcomes:
        if outcome.skipped or outcome.failed:
            became = "was skipped" if outcome.skipped else "failed"
            notes.append(f"{outcome.point.name} {became}: {outcome.skipped or outcome.failed}")
        entries = (outcome.summary or {"strategies": {}})["strategies"]
        diverged = [f"{name} ({entry['diverged']:,})" for name, entry in entries.items() if entry["diverged"]]
        if diverged:
            notes.append(f"{outcome.point.name}: models that diverged count as AUC 0.5: {', '.join(diverged)}")
    return notes


def _tex(cell: str) -> str:
    return "".join(_TEX.get(character, character) for character in cell)
