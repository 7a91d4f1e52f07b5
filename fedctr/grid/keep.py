"""The files of a grid: its tables, and a picture of each sweep."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from fedctr.errors import FedctrError
from fedctr.grid.pictures import draw
from fedctr.grid.tables import WRITERS
from fedctr.grid.work import Outcome


def keep(outcomes: Sequence[Outcome], out: Path) -> None:
    """Write ``table.txt``, ``.md``, ``.tex`` and ``.csv``, and the pictures of each sweep as PNG and SVG.

    Raises:
        FedctrError: when a file cannot be written.
    """
    for name, write in WRITERS.items():
        with _writing(out / name):
            out.mkdir(parents=True, exist_ok=True)
            fresh = out / f".{name}.part"
            fresh.write_text(write(outcomes), encoding="utf-8")
            fresh.replace(out / name)
    with _writing(out):
        for _, some in groupby(outcomes, lambda outcome: outcome.sweep.name):
            draw(list(some), out)


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FedctrError(f"{file}: cannot be written ({error.strerror or error})") from error


def to_json(outcomes: Sequence[Outcome]) -> str:
    """Every experiment with its place in the grid and its summary; null where it was not run to the end."""
    experiments = [
        {
            "sweep": outcome.sweep.name,
            "axes": outcome.point.coordinates,
            "folder": str(outcome.point.experiment.out),
            "failed": outcome.failed or None,
            "skipped": outcome.skipped or None,
            "summary": outcome.summary,
        }
        for outcome in outcomes
    ]
    return json.dumps(experiments, indent=1) + "\n"
