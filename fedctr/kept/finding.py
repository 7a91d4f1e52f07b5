"""Which runs there are: a new kind is a class in ``KINDS``."""

from collections.abc import Iterator
from pathlib import Path

from fedctr.errors import FedctrError
from fedctr.kept.abtest import ABTestRun
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.kept.grid import GridRun
from fedctr.kept.run import KeptRun
from fedctr.kept.training import FederatedRun

KINDS: tuple[type[KeptRun], ...] = (ABTestRun, BenchmarkRun, FederatedRun, GridRun)


def kept_run(folder: Path) -> KeptRun:
    """The run that a folder holds.

    Raises:
        FedctrError: when it holds none.
    """
    run = _run_in(folder)
    if run is None:
        fault = "is not the folder of a run" if folder.is_dir() else _absent(folder)
        raise FedctrError(f"{folder}: {fault}; `fedctr runs` lists those below runs/")
    return run


def runs_below(folder: Path) -> list[KeptRun]:
    """All runs in a folder, however deep, the newest first.

    A grid counts as one run; in its own folder, its experiments are found instead.

    Raises:
        FedctrError: when there is no such folder, or it cannot be read.
    """
    if not folder.is_dir():
        raise FedctrError(f"{folder}: {_absent(folder)}; name one that holds run folders")
    run = _run_in(folder)
    if run and not isinstance(run, GridRun):
        return [run]
    try:
        return sorted(_search(folder), key=lambda found: found.date, reverse=True)
    except OSError as error:
        raise FedctrError(f"{error.filename}: cannot be read ({error.strerror})") from None


def _absent(folder: Path) -> str:
    return "is a file, not a folder" if folder.exists() else "no such folder"


def _search(folder: Path) -> Iterator[KeptRun]:
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
            run = _run_in(child)
            yield from [run] if run else _search(child)


def _run_in(folder: Path) -> KeptRun | None:
    return next((kind(folder) for kind in KINDS if kind.is_in(folder)), None)
