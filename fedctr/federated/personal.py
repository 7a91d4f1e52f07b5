"""Parameters that stay on the devices between rounds, each user's in a row of one file."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedctr.errors import FedctrError
from fedctr.features import Rows
from fedctr.models.model import Model

Values = npt.NDArray[np.float32]


def personal_of(patterns: Iterable[str], model: Model, spec: str) -> tuple[str, ...]:
    """Names of the parameters that match one of the patterns, in the model's order.

    Raises:
        FedctrError: when a pattern matches none, or nothing is left to share.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise FedctrError(f"personal: {pattern!r} is none of the parameters of {spec}: {', '.join(names)}")
    found = tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
    if len(found) == len(names):
        raise FedctrError(f"personal: all parameters of {spec} would stay on the devices; leave some to be shared")
    return found


@dataclass(frozen=True)
class PersonalFile:
    """Every user's own values of some parameters.

    Clients read the file, and write what has changed beside it; the server puts that in once the round is over. So a
    run that is killed in the midst of a round finds what the devices held at its beginning.

    Attributes:
        file: float32 (users, values), as a NumPy file.
        shapes: name to shape of the parameters that make up a row.
    """

    file: Path
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, file: Path, names: Iterable[str], model: Model) -> "PersonalFile":
        """The file for these parameters of a model."""
        parameters = dict(model.named_parameters())
        return cls(file, {name: tuple(parameters[name].shape) for name in names})

    def begin(self, users: int, state: Mapping[str, Tensor], write_to: Path) -> None:
        """Write a file in which every user has the same values."""
        row = np.concatenate([state[name].numpy().ravel() for name in self.shapes])
        values = np.lib.format.open_memmap(write_to, mode="w+", dtype=np.float32, shape=(users, len(row)))
        values[:] = row
        values.flush()

    def read(self, users: Rows) -> dict[str, Tensor]:
        """The values of some users, each parameter (users, *shape)."""
        rows = torch.from_numpy(np.load(self.file, mmap_mode="r")[users])
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        parts = rows.split(sizes, dim=1)
        return {
            name: part.reshape(len(users), *shape).clone()
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def rows(self, values: Mapping[str, Tensor]) -> Values:
        """What :meth:`read` gave, as rows of the file again."""
        flat: Values = torch.cat([values[name].reshape(len(values[name]), -1) for name in self.shapes], dim=1).numpy()
        return flat

    def leave(self, number: int, client: int, users: Rows, rows: Values) -> None:
        """Put a client's new values of a round beside the file."""
        target = self._left(number, client)
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        with fresh.open("wb") as file:
            np.savez(file, users=users, rows=rows)
        fresh.replace(target)

    def take_in(self, number: int, clients: Iterable[int]) -> None:
        """Put what these clients left in a round into the file, which changes nothing if it was done before."""
        for client in clients:
            left = self._left(number, client)
            if left.is_file():
                with np.load(left) as found:
                    values = np.lib.format.open_memmap(self.file, mode="r+")
                    values[found["users"]] = found["rows"]
                    values.flush()
        self.forget()

    def forget(self) -> None:
        """Remove whatever clients left."""
        for left in [*self.file.parent.glob(f"{self.file.stem}-round-*"), *self.file.parent.glob(".*-round-*")]:
            left.unlink(missing_ok=True)

    def _left(self, number: int, client: int) -> Path:
        return self.file.with_name(f"{self.file.stem}-round-{number}-client-{client}.npz")
