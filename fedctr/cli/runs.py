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
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for heading in (*_COLUMNS.values(), "what it found"):
        table.add_column(heading, overflow="fold")
    for facts in found:
        words = [facts[key] or "" for key in (*_COLUMNS, "headline")]
        words[2] = words[2][:16]  # to the minute
        table.add_row(*(escape(word) for word in words))
    Console().print(table)
