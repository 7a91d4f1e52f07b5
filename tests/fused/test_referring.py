"""Named tuples by their address, against the tuples themselves."""

from typing import NamedTuple

import numpy as np
import pytest
from numba.core.errors import TypingError

from fedctr.fused.compiled import compiled, compiled_into, entry
from fedctr.fused.referring import referred
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.vectors import load, store


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


class Places(NamedTuple):
    of: int
    to: int
    step: int


@compiled
def _copied(places: Places, values: Floats, row: int) -> None:
    store(values, places.to + row * places.step, load(values, places.of + row * places.step))


@compiled_into
def _copied_here(places: Places, values: Floats, row: int) -> None:
    store(values, places.to + row * places.step, load(values, places.of + row * places.step))


@entry
def _copied_row_by_row(values: Floats, rows: int) -> None:
    for first in range(0, rows, 2):
        places = referred(Places(first * PADDED, (rows + first) * PADDED, PADDED))
        _copied(places, values, 0)
        _copied_here(places, values, 1)


def test_vectors_are_stored_beside_a_tuple_that_changes_from_round_to_round() -> None:
    rows = 6
    values = np.arange(2 * rows * PADDED, dtype=np.float32)
    _copied_row_by_row(values, rows)
    np.testing.assert_array_equal(values[rows * PADDED :], np.arange(rows * PADDED))


def other_places() -> type:
    """Another class of the same name and kinds, whose fields are others."""

    class Places(NamedTuple):
        step: int
        of: int
        to: int

    return Places


Other = other_places()


@entry
def _two_of_a_name(found: Floats) -> None:
    one, other = referred(Places(1, 2, 3)), referred(Other(1, 2, 3))
    found[0], found[1] = one.of, other.of


def test_two_tuples_of_the_same_name_keep_their_own_fields() -> None:
    found = np.zeros(2, dtype=np.float32)
    _two_of_a_name(found)
    np.testing.assert_array_equal(found, [1, 2])


@compiled
def _no_tuple(number: int) -> None:
    referred(number)


def test_what_is_no_named_tuple_is_refused() -> None:
    with pytest.raises(TypingError, match="int64 is no named tuple"):
        _no_tuple.compile("(int64,)")  # type: ignore[attr-defined]
