"""The contract that every data set loader meets."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.source import Source
from fedctr.data.split import Fractions, SplitRule
from fedctr.errors import FedctrError
from fedctr.registry import Registry, parse


class Loader(ABC):
    """Turns the files of one data set family into a :class:`~fedctr.data.dataset.Dataset`.

    Subclasses are frozen dataclasses; their fields are the options of the spec, such as
    ``synthetic[users=1000]``.

    Attributes:
        name: what users type.
        citation: where the data set was published.
        version: raise it when the same files would be read into other content; it is part of the cache key. (So is the
            source of the class's module, unless it comes with fedctr.)
        needs_files: False for a generator.
        sources: where the files can be fetched, the preferred first; empty when the user must bring them.
        split: the data set's own protocol, followed unless an experiment says otherwise.
        home: the page where people get the files themselves; empty when there is none.
    """

    name: ClassVar[str]
    citation: ClassVar[str] = ""
    version: ClassVar[int] = 1
    needs_files: ClassVar[bool] = True
    sources: ClassVar[tuple[Source, ...]] = ()
    split: ClassVar[SplitRule] = Fractions()
    home: ClassVar[str] = ""

    @abstractmethod
    def read(self, path: Path | None, reading: Reading) -> Dataset:
        """Read the official files.

        Args:
            path: a folder or an archive as downloaded; None for a generator.
            reading: decides on malformed rows, and hears of progress.

        Raises:
            FedctrError: for a missing or truncated file, and for a malformed row unless these are skipped, with file,
                line, field and remedy.
        """

    def inputs(self, path: Path) -> list[Path]:
        """The files that :meth:`read` would open; their content is part of the cache key.

        Override it when a folder may hold more than that.

        Raises:
            FedctrError: when one is missing.
        """
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise FedctrError(f"{path}: no such file or folder; give the files of {self.name}")
        return sorted(child for child in path.iterdir() if child.is_file())


loaders: Registry[Loader] = Registry("data set", "fedctr.data", "fedctr.datasets", Loader)  # type: ignore[type-abstract]


def own_split(spec: str) -> SplitRule:
    """The protocol of a data set, given as people type it.

    Raises:
        FedctrError: for an unknown name.
    """
    return loaders.find(parse(spec).name).split
