"""``fedctr strategies``: what is on the shelf, and how to put one of your own there."""

from pathlib import Path
from typing import Annotated

import typer

from fedctr.cli.shelf import AsJson, Name, Parent, report, show, write

app = typer.Typer(invoke_without_command=True)

Spec = Annotated[
    str, typer.Argument(help="An installed strategy, or module:Class; options in brackets.", metavar="STRATEGY")
]


@app.callback()
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    r"""List the client strategies that are installed, with their options.

    A strategy is named in `fedctr bench --strategies`, with options in brackets:
    label-correction\[variant=smoothed,strength=5]. Below the table stands what else other packages bring.
    """
    if context.invoked_subcommand:
        return
    from fedctr.strategy import strategies

    show(strategies, as_json)
    if not as_json and (others := _from_others()):
        typer.echo(f"Other packages bring more: {'; '.join(others)}")


@app.command()
def check(strategy: Spec) -> None:
    """Hold a strategy to the contract that every client strategy keeps.

    It is run on a small world of awkward users (without samples, of one class, with one sample more than a batch), on
    several models and with both engines. Exit code 1 if a rule is broken.

    Example: fedctr strategies check my_strategy:MyStrategy
    """
    from fedctr.composition import strategy_of
    from fedctr.conformance.strategy import check as findings

    report(strategy, lambda: findings(strategy_of(strategy)))


@app.command()
def new(name: Name, parent: Parent = Path()) -> None:
    """Write a package to start a strategy of your own from.

    It holds the strategy, a test that holds it to the contract, and the entry point by which fedctr finds it once it
    is installed.

    Example: fedctr strategies new my-strategy
    """
    from fedctr.strategy import strategies

    write(strategies, name, parent, f"fedctr strategies check {name}")


def _from_others() -> list[str]:
    """Models and data sets that do not come with fedctr, a phrase for each kind."""
    from fedctr.data.loader import loaders
    from fedctr.models.model import models
    from fedctr.registry import is_shipped

    found = []
    for registry, command in ((models, "fedctr models"), (loaders, "fedctr data list")):
        names = [name for name, cls in registry.classes().items() if not is_shipped(cls)]
        if names:
            found.append(f"{registry.kind} {', '.join(names)} ({command})")
    return found
