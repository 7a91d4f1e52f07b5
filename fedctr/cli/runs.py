"""``fedctr runs``: which runs there are."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedctr.cli.shelf import AsJson

if TYPE_CHECKING:
    from fedctr.kept.run import KeptRun

_COLUMNS = {"folder": "run", "kind": "kind", "date": "date", "dataset": "data set", "model": "model"}


def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look, however deep; a grid's own, for its experiments.")] = (
        Path("runs")
    ),
    as_json: AsJson = False,
) -> None:
    """List the runs below a folder, the newest first, each with what it found in a line.

    Example: fedctr runs
    """
    from fedctr.kept.finding import runs_below

    found = [_facts(run) for run in runs_below(folder)]
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    elif not found:
        typer.echo(f"no run below {folder}")
    else:
        _show(found)


def _facts(run: "KeptRun") -> dict[str, Any]:
    """What there is to say; a damaged folder must not hide the others."""
    from fedctr.errors import FedctrError

    try:
        return run.facts()
    except FedctrError as error:
        unknown = {"date": str(run.date), "dataset": None, "model": None, "finished": False}
        return {"folder": str(run.folder), "kind": run.kind, **unknown, "headline": f"damaged: {error}"}


def _show(found: list[dict[str, Any]]) -> None:
    rows = [[facts[key] or "" for key in _COLUMNS] for facts in found]
    rows = [[*row[:2], row[2][:16], *row[3:]] for row in rows]  # dates to the minute
    widths = [max(map(len, column)) for column in zip(_COLUMNS.values(), *rows, strict=True)]
    # What it found has a line of its own: as a column it would be folded to a few letters in a narrow terminal.
    for row, below in zip(
        (list(_COLUMNS.values()), *rows), ("what it found", *(facts["headline"] for facts in found)), strict=True
    ):
        typer.echo("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
        typer.echo(f"    {below}")
