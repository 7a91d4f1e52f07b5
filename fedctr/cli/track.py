"""``fedctr track``: runs shown by a tracker of experiments."""

from pathlib import Path
from typing import Annotated

import typer


def track(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a grid for all its experiments.", metavar="RUN")],
    to: Annotated[str, typer.Option(help="tensorboard or mlflow; each is an extra: pip install 'fedctr\\[mlflow]'.")],
) -> None:
    """Show a run in TensorBoard or MLflow: settings, figures with their intervals, curves, and the table.

    TensorBoard's files go into the run folder; MLflow's store is that of $MLFLOW_TRACKING_URI. What was shown of a run
    before is replaced.

    Example: fedctr track runs/first --to tensorboard
    """
    from fedctr.kept.finding import kept_run, runs_below
    from fedctr.kept.run import SingleRun
    from fedctr.tracking.record import Record
    from fedctr.tracking.tracker import TRACKERS, adapter

    show = adapter(to)
    found = kept_run(run)
    inner = [found] if isinstance(found, SingleRun) else runs_below(run)
    for each in inner:
        if isinstance(each, SingleRun) and (each.finished or each is found):
            typer.echo(f"{each.folder}: {show(Record.of(each))}")
        else:
            typer.echo(f"{each.folder}: left out, {each.headline()}")
    typer.echo(f"Look at it with: {TRACKERS[to].look.format(folder=run.parent if found in inner else run)}")
