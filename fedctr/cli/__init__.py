"""The command line."""

import sys

import typer

from fedctr.cli import bench, data, strategies
from fedctr.errors import FedctrError

app = typer.Typer(
    help="Study on-device personalisation of click-through-rate models, simulated on Flower.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(bench.bench)
app.command()(strategies.strategies)
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; a mistake of the user's is one line on standard error and exit code 2."""
    try:
        app()
    except FedctrError as error:
        print(f"fedctr: {error}", file=sys.stderr)
        sys.exit(2)
