"""``fedctr report``: what runs found, as a page."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.", metavar="RUN...")],
    out: Annotated[
        Path | None,
        typer.Option(help="The file; by default report.html in the run folder, of several runs in the current one."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Also write the figures into this folder, as SVG and PNG; those of a grid stand in its own."),
    ] = None,
) -> None:
    """Write what runs found as one HTML file, which needs no network: does correction help, for whom, at what cost.

    Example: fedctr report runs/first
    """
    from fedctr.report.report import FILE, figures_of, report_of, write

    reports = [report_of(folder) for folder in runs]
    file = out or (runs[0] / FILE if len(runs) == 1 else Path(FILE))
    typer.echo(f"Report: {write(reports, file)}")
    if figures:
        typer.echo(f"Figures: {len(figures_of(reports, figures))} files in {figures}")
