"""``fedctr compare``: two benchmarks side by side."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedctr.cli.shelf import AsJson

Folder = Annotated[Path, typer.Argument(help="Folder of a finished benchmark.", metavar="RUN")]


def compare(first: Folder, second: Folder, as_json: AsJson = False) -> None:
    """Compare two benchmarks, strategy by strategy: by how much the second is above the first, with intervals.

    Runs of the same samples are paired user by user; others are not, and it says so. Settings that differ are listed.

    Example: fedctr compare runs/first runs/second
    """
    from fedctr.kept.comparing import compare as compared
    from fedctr.kept.comparison_table import render
    from fedctr.kept.finding import kept_run

    comparison = compared(kept_run(first), kept_run(second))
    typer.echo(json.dumps(asdict(comparison), indent=1) if as_json else render(comparison))
