"""``fedctr strategies``: what is on the shelf."""

import inspect
import json
from dataclasses import fields
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def strategies(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False) -> None:
    """List the client strategies that are installed, with their options.

    A strategy is named in `fedctr bench --strategies`, with options in brackets:
    label-correction\\[variant=smoothed,strength=5].
    """
    from fedctr.strategy import strategies as shelf

    rows = [
        {
            "name": name,
            "description": (inspect.getdoc(cls) or "").split("\n")[0],
            "options": {field.name: field.default for field in fields(cls)},
            "citation": cls.citation,
        }
        for name, cls in shelf.classes().items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(box=SIMPLE_HEAD)
    for heading in ("strategy", "what it does", "options", "source"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        options = "\n".join(f"{key}={value}" for key, value in row["options"].items())
        table.add_row(row["name"], row["description"], options, row["citation"])
    Console().print(table)
