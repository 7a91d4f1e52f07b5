"""What a click model reads: users, shown items and earlier clicks, as rows of its embedding tables."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Bag:
    """Places that each hold the weighted sum of some rows of a table.

    Attributes:
        rows: int64 (users, places, values).
        weights: float32 (users, places, values); 0 where there is no value, so that the row does not matter.
    """

    rows: Tensor
    weights: Tensor

    def matrix(self, rows: int) -> Tensor:
        """The weight of every row of the table at every place, float32 (users, places, rows)."""
        users, places, _ = self.rows.shape
        return torch.zeros(users, places, rows, dtype=self.weights.dtype).scatter_add_(2, self.rows, self.weights)


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
