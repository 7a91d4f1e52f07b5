"""The command line."""

import os
import sys
from pathlib import Path

import click
import typer
from typer.core import TyperGroup

from fedctr.cli import abtest, bench, compare, data, export, models, report, runs, strategies, track, train
from fedctr.errors import FedctrError


class _Group(TyperGroup):
    def invoke(self, ctx: click.Context) -> object:
        # A stranger's module is looked for where the command was given, after everything that is installed.
        sys.path.append(str(Path.cwd()))
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise FedctrError(f"interrupted; {interrupt}" if str(interrupt) else "interrupted") from interrupt


app = typer.Typer(
    cls=_Group,
    help="Study on-device personalisation of click-through-rate models, simulated on Flower.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(bench.bench)
app.command()(train.train)
app.command()(abtest.abtest)
app.command()(report.report)
app.command()(runs.runs)
app.command()(compare.compare)
app.command()(export.export)
app.command()(track.track)
app.add_typer(strategies.app, name="strategies")
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; a mistake of the user's is one line on standard error and exit code 2."""
    try:
        app()
    except FedctrError as error:
        lines = (line.strip() for line in str(error).splitlines())
        print("fedctr:", *(line for line in lines if line), file=sys.stderr)
        if isinstance(error.__cause__, KeyboardInterrupt):
            # Threads of Flower may still wait for a client that never answers; everything is on disk by now.
            sys.stderr.flush()
            os._exit(2)
        sys.exit(2)
