"""The exponential function of vectors."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.vectors import SHIFT, Vector, larger, multiply_add, power_of_two, spread

_LEAST = np.float32(-87)  # where the result is so small that floats of full precision end
_DOUBLINGS = np.float32(1.44269504)  # in a factor of e
# The logarithm of 2 in two parts, of which the first has so few digits that its multiples are exact.
_LOGARITHM, _REST = np.float32(0.693359375), np.float32(-2.12194440e-4)
_SERIES = tuple(np.float32(1 / factorial) for factorial in (120, 24, 6, 2, 1, 1))


@compiled
def exponential(vector: Vector) -> Vector:
    """E to the power of each, which may not be above 88; 1e-38 for all below -87. The relative error is below 3e-7."""
    vector = larger(vector, spread(_LEAST))
    shifted = multiply_add(vector, spread(_DOUBLINGS), spread(SHIFT))
    doublings = shifted - spread(SHIFT)
    # What is left lies within half of that logarithm, where six more terms of the series are enough.
    rest = multiply_add(doublings, spread(-_LOGARITHM), vector)
    rest = multiply_add(doublings, spread(-_REST), rest)
    found = spread(np.float32(1 / 720))
    for coefficient in _SERIES:
        found = multiply_add(found, rest, spread(coefficient))
    return found * power_of_two(shifted)
