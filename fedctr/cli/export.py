"""``fedctr export``: the table of a run for other programs."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from fedctr.errors import FedctrError, did_you_mean


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run or a grid.", metavar="RUN")],
    form: Annotated[
        str, typer.Option("--format", help="csv for all numbers, unrounded; markdown or latex for the table to read.")
    ] = "markdown",
) -> None:
    """Print the table of a run or a grid, to be put into a spreadsheet, a README or a paper.

    Example: fedctr export runs/first --format latex > table.tex
    """
    from fedctr.kept.finding import kept_run
    from fedctr.kept.run import Form
    from fedctr.kept.understanding import understood

    forms: dict[str, Form] = {name: name for name in get_args(Form)}
    if form not in forms:
        hint = did_you_mean(form, forms) or f"choose among {', '.join(forms)}"
        raise FedctrError(f"--format: unknown format {form!r}; {hint}")
    with understood(run):
        typer.echo(kept_run(run).export(forms[form]), nl=False)
