"""``fedctr strategies``: what is on the shelf."""

import inspect
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from fedctr.strategy import ClientStrategy


def strategies(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    r"""List the client strategies that are installed, with their options.

    A strategy is named in `fedctr bench --strategies`, with options in brackets:
    label-correction\[variant=smoothed,strength=5].
    """
    from fedctr.strategy import strategies as shelf

    found = shelf.classes()
    if as_json:
        shown = [{"name": name, **_describe(cls)} for name, cls in found.items()]
        typer.echo(json.dumps(shown, indent=1, default=str))
        return
    table = Table(box=SIMPLE_HEAD)
    table.add_column("strategy", no_wrap=True)
    table.add_column("what it does")
    table.add_column("options", no_wrap=True)
    for name, cls in found.items():
        facts = _describe(cls)
        options = "\n".join(key if value is None else f"{key}={value}" for key, value in facts["options"].items())
        source = f"\n{facts['citation']}" if facts["citation"] else ""
        table.add_row(*(escape(text) for text in (name, facts["description"] + source, options)))
    Console().print(table)


def _describe(cls: "type[ClientStrategy]") -> dict[str, Any]:
    options = inspect.signature(cls).parameters.values()
    return {
        "description": (inspect.getdoc(cls) or "").split("\n")[0],
        # None stands for an option that must be given.
        "options": {option.name: None if option.default is option.empty else option.default for option in options},
        "citation": cls.citation,
    }
