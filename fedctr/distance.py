"""How far parameters are from where they began."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor


def squared_distance(parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor:
    """Each user's squared Euclidean distance, all parameters together.

    Args:
        parameters: at least one, by name, float32 (users, *shape).
        origin: the same of the beginning; it may hold more of them.

    Returns:
        float32 (users,).
    """
    # The squares of the differences: both ways in one pass over the weights, which are what it waits for.
    squares = [F.mse_loss(value, origin[name], reduction="none") for name, value in parameters.items()]
    first, *others = [square.reshape(len(square), -1).sum(1) for square in squares]
    return sum(others, first)
