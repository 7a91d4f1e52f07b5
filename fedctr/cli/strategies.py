"""``fedctr strategies``: what is on the shelf, and how to put one of your own there."""

import inspect
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from fedctr.strategy import ClientStrategy


app = typer.Typer(invoke_without_command=True)

Spec = Annotated[
    str, typer.Argument(help="An installed strategy, or module:Class; options in brackets.", metavar="STRATEGY")
]
Name = Annotated[str, typer.Argument(help="In lower case, with hyphens: my-strategy.", metavar="NAME")]
Parent = Annotated[Path, typer.Option("--in", help="Where the package's folder is created.")]


@app.callback()
def list_(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    r"""List the client strategies that are installed, with their options.

    A strategy is named in `fedctr bench --strategies`, with options in brackets:
    label-correction\[variant=smoothed,strength=5].
    """
    if context.invoked_subcommand:
        return
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


@app.command()
def check(strategy: Spec) -> None:
    """Hold a strategy to the contract that every client strategy keeps.

    It is run on a small world of awkward users (without samples, of one class, with one sample more than a batch), on
    several models and with both engines. Exit code 1 if a rule is broken.

    Example: fedctr strategies check my_strategy:MyStrategy
    """
    from fedctr.composition import strategy_of
    from fedctr.conformance import check as findings

    # A stranger's module is looked for where the command was given, after everything that is installed.
    sys.path.append(str(Path.cwd()))
    broken, out = 0, sys.stdout
    # What a stranger's strategy prints must not get between the findings.
    with redirect_stdout(sys.stderr):
        for finding in findings(strategy_of(strategy)):
            typer.echo(f"{'broken' if finding.fault else 'kept':6}  {finding.rule}", out)
            if finding.fault:
                typer.echo(f"{'':8}{finding.fault}", out)
                broken += 1
    typer.echo(f"{strategy}: {f'{broken} rules broken' if broken else 'keeps the contract'}")
    raise typer.Exit(1 if broken else 0)


@app.command()
def new(name: Name, parent: Parent = Path()) -> None:
    """Write a package to start a strategy of your own from.

    It holds the strategy, a test that holds it to the contract, and the entry point by which fedctr finds it once it
    is installed.

    Example: fedctr strategies new my-strategy
    """
    from fedctr.scaffold import scaffold

    folder = scaffold(name, parent)
    typer.echo(f"Wrote {folder}. Next: pip install -e {folder}; fedctr strategies check {name}")


def _describe(cls: "type[ClientStrategy]") -> dict[str, Any]:
    options = inspect.signature(cls).parameters.values()
    return {
        "description": (inspect.getdoc(cls) or "").split("\n")[0],
        # None stands for an option that must be given.
        "options": {option.name: None if option.default is option.empty else option.default for option in options},
        "citation": cls.citation,
    }
