"""``fedctr models``: which click models there are, and how to add one of your own."""

from pathlib import Path
from typing import Annotated

import typer

from fedctr.cli.shelf import AsJson, Name, Parent, report, show, write

app = typer.Typer(invoke_without_command=True)

Spec = Annotated[str, typer.Argument(help="An installed model, or module:Class; options in brackets.", metavar="MODEL")]


@app.callback()
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    r"""List the click models that are installed, with their options.

    A model is named in `fedctr bench --model`, with options in brackets: din\[embedding=16,hidden=\[64,32]].
    """
    if context.invoked_subcommand:
        return
    from fedctr.models.model import models

    show(models, as_json)


@app.command()
def check(model: Spec) -> None:
    """Hold a model to the contract that every click model keeps.

    It scores and is fine-tuned in a small world of awkward users (without samples, of one class, with one sample more
    than a batch), for many users at once and for each alone. Exit code 1 if a rule is broken.

    Example: fedctr models check my_model:MyModel
    """
    from fedctr.conformance.model import check as findings

    report(model, lambda: findings(model))


@app.command()
def new(name: Name, parent: Parent = Path()) -> None:
    """Write a package to start a model of your own from.

    It holds the model, a test that holds it to the contract, and the entry point by which fedctr finds it once it is
    installed.

    Example: fedctr models new my-model
    """
    from fedctr.models.model import models

    write(models, name, parent, f"fedctr models check {name}")
