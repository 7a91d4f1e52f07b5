"""``fedctr compare``: two runs side by side."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedctr.cli.shelf import AsJson

Folder = Annotated[Path, typer.Argument(help="Folder of a finished benchmark, or of a training.", metavar="RUN")]


def compare(first: Folder, second: Folder, as_json: AsJson = False) -> None:
    """Compare two benchmarks, strategy by strategy: by how much the second is above the first, with intervals.

    Runs of the same samples are paired user by user; others are not, and it says so. Settings that differ are listed.
    Of two runs of fedctr train it tells how far and how soon each came, seed by seed.

    Example: fedctr compare runs/first runs/second
    """
    from fedctr.kept.comparing import compare as compared
    from fedctr.kept.comparing_trainings import compare_trainings
    from fedctr.kept.comparison_table import render, render_trainings
    from fedctr.kept.finding import kept_run
    from fedctr.kept.training import FederatedRun

    one, other = kept_run(first), kept_run(second)
    if isinstance(one, FederatedRun) and isinstance(other, FederatedRun):
        trainings = compare_trainings(one, other)
        typer.echo(json.dumps(asdict(trainings), indent=1) if as_json else render_trainings(trainings))
    else:
        comparison = compared(one, other)
        typer.echo(json.dumps(asdict(comparison), indent=1) if as_json else render(comparison))
