"""Reports of run folders: the kind of a run decides on its report."""

import importlib.metadata
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fedctr.errors import FedctrError
from fedctr.folder import write_whole
from fedctr.kept.abtest import ABTestRun
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.kept.finding import kept_run
from fedctr.kept.grid import GridRun
from fedctr.kept.run import KeptRun
from fedctr.kept.training import FederatedRun
from fedctr.kept.understanding import understood
from fedctr.report.abtest import of_abtest
from fedctr.report.bench import of_bench
from fedctr.report.grid import of_grid
from fedctr.report.page import Report, render
from fedctr.report.train import of_training

FILE = "report.html"


_REPORTS: dict[type[KeptRun], Callable[[Any], Report]] = {
    ABTestRun: of_abtest,
    BenchmarkRun: of_bench,
    FederatedRun: of_training,
    GridRun: of_grid,
}


def report_of(folder: Path) -> Report:
    """The report of a folder.

    Raises:
        FedctrError: when no run is in it, one of a kind that has no report, or one that is not finished.
    """
    run = kept_run(folder)
    if type(run) not in _REPORTS:
        raise FedctrError(f"{folder}: holds a run of fedctr {run.kind}, of which no report is made")
    with understood(folder):
        return _REPORTS[type(run)](run)


def figures_of(reports: Sequence[Report], folder: Path) -> list[Path]:
    """Write every figure as SVG and as PNG, those of several reports into a folder for each, and return the files.

    Raises:
        FedctrError: when one cannot be written.
    """
    parts = [folder / f"run-{number}" for number in range(1, len(reports) + 1)] if len(reports) > 1 else [folder]
    return [
        file
        for report, part in zip(reports, parts, strict=True)
        for figure in report.figures
        for file in figure.save(part)
    ]


def write(reports: Sequence[Report], file: Path) -> Path:
    """Write one page with all reports, and return its path.

    Raises:
        FedctrError: when it cannot be written.
    """
    made = f"fedctr {importlib.metadata.version('fedctr')}, {datetime.now():%Y-%m-%d %H:%M}"
    page = render(reports, made)
    write_whole(file, lambda fresh: fresh.write_text(page, encoding="utf-8"))
    return file


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder, and return its path.

    Raises:
        FedctrError: as :func:`report_of` and :func:`write`.
    """
    return write([report_of(folder)], folder / FILE)
