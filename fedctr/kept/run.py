"""What can be asked of a run of any kind as its folder keeps it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from fedctr.block import Block, comma_separated, latex, markdown
from fedctr.errors import FedctrError
from fedctr.folder import read_json, read_toml
from fedctr.kept.understanding import understood

Form = Literal["csv", "markdown", "latex"]
Curve = list[tuple[int, float]]  # step and number


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

    @property
    @abstractmethod
    def dataset(self) -> str:
        """On which data set."""

    @property
    @abstractmethod
    def model(self) -> str:
        """With which click model."""

    @property
    @abstractmethod
    def date(self) -> datetime:
        """When something was last done in it."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether there is nothing left to do."""

    @abstractmethod
    def headline(self) -> str:
        """What it found, in a line."""

    @abstractmethod
    def export(self, form: Form) -> str:
        """Its table for other programs, with all numbers in ``csv``, or for people to read."""

    def facts(self) -> dict[str, Any]:
        """What a listing says of it, as JSON has it."""
        with understood(self.folder):
            return {
                "folder": str(self.folder),
                "kind": self.kind,
                "date": self.date.isoformat(sep=" "),
                "dataset": self.dataset,
                "model": self.model,
                "finished": self.finished,
                "headline": self.headline(),
            }


class SingleRun(KeptRun):
    """A run with one configuration, so no grid."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of ``config.toml``."""
        return read_toml(self.folder / "config.toml")

    @cached_property
    def settings(self) -> dict[str, str]:
        """All that determines the results, as words by dotted key: ``cloud.epochs`` to ``100``."""
        identity = read_json(self.folder / "identity.json")
        if not isinstance(identity, dict):
            raise FedctrError(f"{self.folder}/identity.json: damaged")
        return _flat(identity)

    @abstractmethod
    def figures(self) -> dict[str, float]:
        """What it is quoted by: name to number, those that belong together with the same beginning up to a slash."""

    @abstractmethod
    def curves(self) -> dict[str, Curve]:
        """What it came by step by step: name to numbers by step, likewise."""

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """All numbers that it found, unrounded."""

    @abstractmethod
    def table(self) -> tuple[Block, str]:
        """What it found in words, and a caption."""

    def export(self, form: Form) -> str:
        """Its table for other programs, with all numbers in ``csv``, or for people to read."""
        if form == "csv":
            return comma_separated(self.rows())
        block, caption = self.table()
        return markdown([block], caption) if form == "markdown" else latex([block], caption)

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
            return modified(self.folder / self.holds[0])


class SummarisedRun(SingleRun):
    """One that is finished once its ``summary.json`` is written.

    Attributes:
        called: what it is, and what to start again where it is damaged.
    """

    called: ClassVar[tuple[str, str]]

    @property
    def finished(self) -> bool:
        """Whether the summary is written."""
        return (self.folder / "summary.json").is_file()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``.

        Raises:
            FedctrError: when the run is not finished, or the file is damaged.
        """
        what, again = self.called
        if not self.finished:
            raise FedctrError(
                f"{self.folder}: the {what} is not finished; start it again with --out {self.folder} to go on"
            )
        summary = read_json(self.folder / "summary.json")
        if not isinstance(summary, dict) or not self._is_whole(summary):
            raise FedctrError(f"{self.folder}/summary.json: damaged; start the {again} again with --out {self.folder}")
        return summary

    @staticmethod
    @abstractmethod
    def _is_whole(summary: dict[str, Any]) -> bool:
        """Whether a summary has what one of this kind is about."""


def modified(file: Path) -> datetime:
    """When a file was last written, to the second."""
    return datetime.fromtimestamp(file.stat().st_mtime).replace(microsecond=0)


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Settings that are not the same in two runs: dotted key to the values of both, None where one has none."""
    keys = dict.fromkeys([*first, *second])
    return {key: (first.get(key), second.get(key)) for key in keys if first.get(key) != second.get(key)}


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return found
