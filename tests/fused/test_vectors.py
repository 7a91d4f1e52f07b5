"""Vectors and rows of vectors against NumPy: what lies behind the last column that is written remains."""

import numpy as np
import pytest

from fedctr.fused.compiled import entry
from fedctr.fused.copying import add_row, clear_places, copy_row
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.vectors import HALF, load, load_some, load_some_like, spread_half, store, store_some, total

SIZES = [1, 2, HALF - 1, HALF, HALF + 1, PADDED, PADDED + 3, PADDED + HALF, 2 * PADDED]
BEGIN = 3  # rows begin anywhere


@entry
def _copy(target: Floats, source: Floats, size: int) -> None:
    copy_row(target, BEGIN, source, BEGIN + 1, size)


@entry
def _add(target: Floats, source: Floats, size: int, share: np.float32) -> None:
    add_row(target, BEGIN, source, BEGIN + 1, size, share)


@entry
def _clear(target: Floats, size: int) -> None:
    clear_places(target, BEGIN, size)


@entry
def _store_some(target: Floats, source: Floats, size: int) -> None:
    for j in range(0, size, PADDED):
        store_some(target, BEGIN + j, load(source, BEGIN + 1 + j), size - j)


@entry
def _sums(source: Floats, size: int, found: Floats) -> None:
    found[0] = total(load_some(source, BEGIN, size))
    half = load_some_like(spread_half(np.float32(0)), source, BEGIN, size)
    found[1] = total(half)
    store(found, 2, half)


def numbers(seed: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(4 * PADDED).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_a_row_is_written_and_nothing_behind_it(size: int) -> None:
    source, before = numbers(0), numbers(1)
    expected = before.copy()
    expected[BEGIN : BEGIN + size] = source[BEGIN + 1 : BEGIN + 1 + size]
    for write in _copy, _store_some:
        found = before.copy()
        write(found, source, size)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", SIZES)
def test_a_row_is_added_and_nothing_behind_it(size: int) -> None:
    source, before = numbers(0), numbers(1)
    expected, found = before.copy(), before.copy()
    expected[BEGIN : BEGIN + size] += np.float32(0.5) * source[BEGIN + 1 : BEGIN + 1 + size]
    _add(found, source, size, np.float32(0.5))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found[BEGIN + size :], before[BEGIN + size :])


@pytest.mark.parametrize("size", SIZES)
def test_places_are_cleared_in_whole_vectors(size: int) -> None:
    found = numbers(0)
    expected = found.copy()
    expected[BEGIN : BEGIN + -(-size // PADDED) * PADDED] = 0
    _clear(found, size)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", range(PADDED + 1))
def test_the_first_elements_alone_are_summed(size: int) -> None:
    source, found = numbers(0), np.zeros(2 * PADDED, dtype=np.float32)
    source[BEGIN + size :] = np.nan
    _sums(source, size, found)
    some = source[BEGIN : BEGIN + min(size, HALF)]
    np.testing.assert_allclose(found[0], source[BEGIN : BEGIN + size].sum(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], some.sum(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[2 : 2 + HALF], np.pad(some, (0, HALF - len(some))))
