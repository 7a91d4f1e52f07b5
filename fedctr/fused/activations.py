"""What squeezes the numbers of a vector between two bounds."""

from typing import Any

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.exponential import exponential
from fedctr.fused.tiles import intrinsic
from fedctr.fused.vectors import Vector, larger, spread

_LEAST = np.float32(-40)  # where the result is so small that it makes no difference to 1


@intrinsic
def _reciprocal(typing: Any, vector: Any) -> Any:
    """1 over each, to 1e-7, of numbers that are not near the ends of what floats can hold; a division takes longer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        return builder.fdiv(kind([1.0] * kind.count), arguments[0], flags=("arcp", "ninf"))

    return vector(vector), generate


@compiled
def sigmoid(vector: Vector) -> Vector:
    """``1 / (1 + e to the power of -x)`` of each, to 1e-7; NaN stays NaN."""
    falling = exponential(spread(np.float32(0)) - larger(vector, spread(_LEAST)))
    return _reciprocal(spread(np.float32(1)) + falling)


@compiled
def hyperbolic_tangent(vector: Vector) -> Vector:
    """The hyperbolic tangent of each, to 3e-7; NaN stays NaN."""
    return spread(np.float32(2)) * sigmoid(vector + vector) - spread(np.float32(1))
