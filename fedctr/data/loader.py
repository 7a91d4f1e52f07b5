"""The contract that every data set loader meets."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from fedctr.data.dataset import Dataset
from fedctr.registry import Registry


class Loader(ABC):
    """Turns the files of one data set family into a :class:`~fedctr.data.dataset.Dataset`.

    Subclasses are frozen dataclasses; their fields are the options of the spec, such as
    ``synthetic[users=1000]``.

    Attributes:
        name: what users type.
        version: raise it when the same files would be read into other content; it is part of the cache key.
        needs_files: False for a generator.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs_files: ClassVar[bool] = True

    @abstractmethod
    def read(self, path: Path | None) -> Dataset:
        """Read the official files.

        Args:
            path: a folder or an archive as downloaded; None for a generator.

        Raises:
            FedctrError: for a missing, truncated or malformed file, with file, line, field and remedy.
        """


loaders: Registry[Loader] = Registry("data set", "fedctr.data", "fedctr.datasets", Loader)  # type: ignore[type-abstract]
