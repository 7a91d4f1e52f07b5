"""The exponential function of vectors against NumPy in double precision."""

import numpy as np

from fedctr.fused.compiled import entry
from fedctr.fused.exponential import exponential
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.vectors import load, store


@entry
def of_each(numbers: Floats, found: Floats) -> None:
    for j in range(0, len(numbers), PADDED):
        store(found, j, exponential(load(numbers, j)))


def exponentials(numbers: Floats) -> Floats:
    found = np.zeros_like(numbers)
    of_each(numbers, found)
    return found


def test_it_is_exact_but_for_rounding() -> None:
    numbers = np.linspace(-87, 88, 1 << 16).astype(np.float32)
    np.testing.assert_allclose(exponentials(numbers), np.exp(numbers.astype(np.float64)), rtol=3e-7)


def test_its_ends() -> None:
    found = exponentials(np.array([0, -0.0, 1, -87, -1e9, -np.inf, np.nan] + 9 * [0], dtype=np.float32))
    np.testing.assert_array_equal(found[:2], 1)
    np.testing.assert_allclose(found[2], np.e, rtol=1e-7)
    np.testing.assert_array_equal(found[4:6], found[3])
    assert 0 < found[3] < 2e-38
    assert np.isnan(found[6])
