"""Activations of vectors against NumPy in double precision."""

import numpy as np

from fedctr.fused.activations import hyperbolic_tangent, sigmoid
from fedctr.fused.compiled import entry
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.vectors import load, store


@entry
def activate(numbers: Floats, sigmoids: Floats, tangents: Floats) -> None:
    for j in range(0, len(numbers), PADDED):
        vector = load(numbers, j)
        store(sigmoids, j, sigmoid(vector))
        store(tangents, j, hyperbolic_tangent(vector))


def of_each(numbers: Floats) -> tuple[Floats, Floats]:
    found = np.zeros_like(numbers), np.zeros_like(numbers)
    activate(numbers, *found)
    return found


def test_they_are_exact_but_for_rounding() -> None:
    numbers = np.linspace(-100, 100, 1 << 16).astype(np.float32)
    exact = numbers.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-exact)), np.tanh(exact)
    for found, wanted in zip(of_each(numbers), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-7)


def test_their_ends() -> None:
    sigmoids, tangents = of_each(np.array([0, -0.0, np.inf, -np.inf, 1e9, -1e9, np.nan] + 9 * [0], dtype=np.float32))
    np.testing.assert_array_equal(sigmoids[:7], [0.5, 0.5, 1, sigmoids[3], 1, sigmoids[3], np.nan])
    assert 0 <= sigmoids[3] < 1e-7
    np.testing.assert_array_equal(tangents[:7], [0, 0, 1, -1, 1, -1, np.nan])
