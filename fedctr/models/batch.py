"""What a click model reads: users, shown items and earlier clicks, as rows of its embedding tables."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

ALIGNED = 16  # floats in 64 bytes; matrix products round differently where a matrix begins elsewhere


@dataclass(frozen=True, eq=False)
class Bag:
    """Places that each hold the weighted sum of some rows of a table.

    Attributes:
        rows: int64 (users, places, values).
        weights: float32 (users, places, values), 0 where there is no value, so that the row does not matter; or None
            if all are 1.
    """

    rows: Tensor
    weights: Tensor | None
    _below: dict[int, Tensor] = field(default_factory=dict, repr=False)

    def below(self, count: int) -> Tensor:
        """The rows when all users' tables, of ``count`` rows each, stand one below the other; with 0, all share one.

        int64 (users, places, values), without the last axis if there is one value.
        """
        if count not in self._below:
            rows = self.rows.squeeze(2) if self.rows.shape[2] == 1 else self.rows
            self._below[count] = below(rows, count) if count else rows
        return self._below[count]

    def take(self, take: Callable[[Tensor], Tensor]) -> "Bag":
        """The places that a function of (users, places, ...) chooses along the second axis."""
        return Bag(take(self.rows), None if self.weights is None else take(self.weights))

    def matrix(self, rows: int) -> Tensor:
        """The weight of every row of the table at every place, float32 (users, places, rows)."""
        weights = torch.ones(self.rows.shape, device=self.rows.device) if self.weights is None else self.weights
        return weights.new_zeros(*self.rows.shape[:2], rows).scatter_add_(2, self.rows, weights)


Places = Bag | Tensor  # a tensor says the same as a matrix, float32 (users, places, rows of the table)
Coded = Mapping[str, Places]  # by the name of the field


class Batch(ABC):
    """Samples that are scored together.

    The first axis is the user, the second its samples; a batch of mixed users is one "user" throughout. What a
    model does not ask for is not computed.
    """

    @property
    @abstractmethod
    def user(self) -> Coded:
        """The user: one place for all samples, or one for each where samples belong to different users."""

    @property
    @abstractmethod
    def item(self) -> Coded:
        """The shown items: a place for each sample."""

    @property
    @abstractmethod
    def mean_click(self) -> Coded:
        """The mean over the sample's history: a place for each sample; all zeros without any click."""

    @property
    @abstractmethod
    def clicks(self) -> Coded:
        """The items that histories are made of: places that are numbered from 0."""

    @property
    @abstractmethod
    def history(self) -> Tensor:
        """Places in ``clicks`` of what the user had clicked strictly before the sample, latest first.

        int64 (users, samples, length); where there are fewer, the rest points to a place that embeds to zeros.
        """


def shares(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Weights float32 for the mean over the last axis of what is present, 0 for the rest."""
    weights: npt.NDArray[np.float32] = present / np.maximum(present.sum(-1, keepdims=True, dtype=np.float32), 1)
    return weights


def below(rows: Tensor, count: int) -> Tensor:
    """Rows int64 (users, ...) of tables of ``count`` rows, when all users' tables stand one below the other."""
    return rows + _first(len(rows), count, rows.device).view(-1, *[1] * (rows.dim() - 1))


@lru_cache(maxsize=256)
def _first(users: int, count: int, device: torch.device) -> Tensor:
    return torch.arange(0, users * count, count, device=device)
