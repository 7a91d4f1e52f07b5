"""Numbering each user's distinct codes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Distinct:
    """Each user's distinct codes in ascending order, 0 always first.

    Attributes:
        codes: int64 (users, most), padded with 0.
    """

    codes: Rows
    _keys: Rows
    _first: Rows
    _cardinality: int

    @classmethod
    def of(cls, codes: npt.NDArray[np.integer]) -> "Distinct":
        """Number int (users, n) codes anew for every user."""
        users = len(codes)
        cardinality = int(codes.max(initial=0)) + 1
        keys = codes.astype(np.int64) + np.arange(users)[:, None] * cardinality
        keys = np.unique(np.concatenate([np.arange(users) * cardinality, keys.reshape(-1)]))
        first = np.searchsorted(keys, np.arange(users) * cardinality)
        owner = keys // cardinality
        numbers = np.arange(len(keys)) - first[owner]
        table = np.zeros((users, int(numbers.max()) + 1), dtype=np.int64)
        table[owner, numbers] = keys % cardinality
        return cls(table, keys, first, cardinality)

    def number(self, codes: npt.NDArray[np.integer]) -> Rows:
        """The numbers of int (users, ...) codes that are all among the distinct ones."""
        shape = (-1, *[1] * (codes.ndim - 1))
        users = np.arange(len(codes)).reshape(shape)
        return np.searchsorted(self._keys, codes + users * self._cardinality) - self._first.reshape(shape)
