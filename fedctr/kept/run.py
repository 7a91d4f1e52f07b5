"""What can be asked of a run of any kind as its folder keeps it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from fedctr.finished_run import read_toml


@dataclass(frozen=True)
class KeptRun(ABC):
    """A run of some kind, finished or not; what a damaged file should have said raises a ``FedctrError``.

    Attributes:
        kind: in a word.
        holds: files and folders by which its folder is told from one of another kind.
        folder: the run folder.
    """

    kind: ClassVar[str]
    holds: ClassVar[tuple[str, ...]]
    folder: Path

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        """Whether a folder holds a run of this kind."""
        return all((folder / name).exists() for name in cls.holds)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of ``config.toml``."""
        return read_toml(self.folder / "config.toml")

    @property
    def dataset(self) -> str:
        """On which data set."""
        return str(self.config["dataset"])

    @property
    def model(self) -> str:
        """With which click model."""
        return str(self.config["model"])

    @property
    def date(self) -> datetime:
        """When something was last done in it, by its log, which says so in a copy of the folder, too."""
        try:
            last = (self.folder / "log.txt").read_text(encoding="utf-8").splitlines()[-1]
            return datetime.strptime(last[:19], "%Y-%m-%d %H:%M:%S")
        except (OSError, ValueError, IndexError):  # nothing has been done yet
            return datetime.fromtimestamp((self.folder / self.holds[0]).stat().st_mtime).replace(microsecond=0)

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether there is nothing left to do."""

    @abstractmethod
    def headline(self) -> str:
        """What it found, in a line."""

    def facts(self) -> dict[str, Any]:
        """What a listing says of it, as JSON has it."""
        return {
            "folder": str(self.folder),
            "kind": self.kind,
            "date": self.date.isoformat(sep=" "),
            "dataset": self.dataset,
            "model": self.model,
            "finished": self.finished,
            "headline": self.headline(),
        }
