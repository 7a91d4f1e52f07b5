"""What squeezes the numbers of a vector between two bounds."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.exponential import exponential
from fedctr.fused.vectors import Vector, larger, spread

_LEAST = np.float32(-87)  # below, the exponential would grow beyond the largest float


@compiled
def sigmoid(vector: Vector) -> Vector:
    """``1 / (1 + e to the power of -x)`` of each, to 1e-7; NaN stays NaN."""
    falling = exponential(spread(np.float32(0)) - larger(vector, spread(_LEAST)))
    return spread(np.float32(1)) / (spread(np.float32(1)) + falling)


@compiled
def hyperbolic_tangent(vector: Vector) -> Vector:
    """The hyperbolic tangent of each, to 3e-7; NaN stays NaN."""
    return spread(np.float32(2)) * sigmoid(vector + vector) - spread(np.float32(1))
