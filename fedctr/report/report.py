"""Reports of run folders: what a folder holds decides on its report."""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fedctr.errors import FedctrError
from fedctr.folder import write_whole
from fedctr.report.bench import of_bench
from fedctr.report.grid import of_grid
from fedctr.report.page import Report, render
from fedctr.report.train import of_training

FILE = "report.html"


@dataclass(frozen=True)
class Kind:
    """A kind of folder.

    Attributes:
        name: in a word or two.
        holds: files by which it is told from the others.
        report: reads such a folder.
    """

    name: str
    holds: tuple[str, ...]
    report: Callable[[Path], Report]


KINDS = (
    Kind("benchmark", ("identity.json", "cells"), of_bench),
    Kind("federated training", ("identity.json", "rounds.csv"), of_training),
    Kind("grid", ("table.csv",), of_grid),
)


def report_of(folder: Path) -> Report:
    """The report of a folder.

    Raises:
        FedctrError: when no kind of run is in it, or one that is not finished.
    """
    if not folder.is_dir():
        raise FedctrError(f"{folder}: no such folder; name the folder of a run, as `fedctr bench` prints it")
    for kind in KINDS:
        if all((folder / name).exists() for name in kind.holds):
            return kind.report(folder)
    names = ", ".join(kind.name for kind in KINDS)
    raise FedctrError(f"{folder}: holds no run that a report could be made of (known: {names})")


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
