"""The files of a grid: its tables, and a picture of each sweep."""

import json
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from fedctr.folder import write_whole, writing
from fedctr.grid.pictures import draw
from fedctr.grid.tables import WRITERS
from fedctr.grid.work import Outcome


def keep(outcomes: Sequence[Outcome], out: Path) -> None:
    """Write ``table.txt``, ``.md``, ``.tex`` and ``.csv``, and the pictures of each sweep as PNG and SVG.

    Raises:
        FedctrError: when a file cannot be written.
    """
    for name, table in WRITERS.items():
        text = table(outcomes)
        write_whole(out / name, partial(_save, text=text))
    with writing(out):
        for _, some in groupby(outcomes, lambda outcome: outcome.sweep.name):
            draw(list(some), out)


def _save(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


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
