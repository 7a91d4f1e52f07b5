"""A run in the words that all trackers of experiments understand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fedctr.kept.run import Curve, SingleRun
from fedctr.kept.understanding import understood

_FILES = ("config.toml", "summary.json", "rounds.csv", "comparison.png", "report.html", "log.txt")


@dataclass(frozen=True)
class Record:
    """What there is to show of a run.

    Attributes:
        folder: the run folder.
        facts: kind, data set and model.
        date: when something was last done in it.
        finished: whether there is nothing left to do.
        headline: what it found, in a line.
        table: what it found, as Markdown.
        settings: dotted key to value, in words.
        figures: name to number; a slash in a name groups what belongs together.
        curves: name to numbers by step.
        files: to be kept with it.
    """

    folder: Path
    facts: Mapping[str, str]
    date: datetime
    finished: bool
    headline: str
    table: str
    settings: Mapping[str, str]
    figures: Mapping[str, float]
    curves: Mapping[str, Curve]
    files: tuple[Path, ...]

    @classmethod
    def of(cls, run: SingleRun) -> "Record":
        """Read a run.

        Raises:
            FedctrError: when it has found nothing yet, or is damaged.
        """
        with understood(run.folder):
            return cls(
                folder=run.folder,
                facts={"kind": run.kind, "dataset": run.dataset, "model": run.model},
                date=run.date,
                finished=run.finished,
                headline=run.headline(),
                table=run.export("markdown"),
                settings=run.settings,
                figures=run.figures(),
                curves=run.curves(),
                files=tuple(file for file in (run.folder / name for name in _FILES) if file.is_file()),
            )
