"""Named tuples by their address, against the tuples themselves."""

from typing import NamedTuple

import numpy as np

from fedctr.fused.compiled import compiled, entry
from fedctr.fused.referring import referred
from fedctr.fused.tiles import Floats


class Inner(NamedTuple):
    scale: np.float32
    shift: int


class Outer(NamedTuple):
    values: Floats
    inner: Inner
    matrix: Floats
    only: bool


@compiled
def _times(inner: Inner, number: np.float32) -> np.float32:
    return inner.scale * number + np.float32(inner.shift)


@compiled
def _deeper(outer: Outer, found: Floats, row: int) -> None:
    inner = referred(outer.inner)
    for column in range(outer.matrix.shape[1]):
        found[row, column] = _times(inner, outer.matrix[row, column]) + outer.values[column]
    if outer.only:
        found[row, 0] = -1


@entry
def _of_all(values: Floats, matrix: Floats, found: Floats) -> None:
    for row in range(len(matrix)):
        outer = referred(Outer(values, Inner(np.float32(2 + row), row), matrix, row == 1))
        _deeper(outer, found, row)


def test_what_a_function_is_handed_by_address_is_what_the_tuple_holds_at_the_time() -> None:
    rng = np.random.default_rng(0)
    values, matrix = (rng.standard_normal(shape).astype(np.float32) for shape in ((5,), (3, 5)))
    found = np.zeros_like(matrix)
    _of_all(values, matrix, found)
    rows = np.arange(3, dtype=np.float32)[:, None]
    expected = (2 + rows) * matrix + rows + values
    expected[1, 0] = -1
    np.testing.assert_allclose(found, expected, rtol=1e-6)
