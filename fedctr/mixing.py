"""Mixtures of two predictions, among which a device chooses the weight by itself."""

import torch
from torch import Tensor

WEIGHTS = tuple(step / 10 for step in range(11))


def mixtures(one: Tensor, other: Tensor) -> Tensor:
    """``(1 - w) one + w other`` for each weight w of ``WEIGHTS``, (weights, *shape).

    The first is ``one`` and the last is ``other``, whatever stands in the one that has no weight.
    """
    return torch.stack([one, *((1 - weight) * one + weight * other for weight in WEIGHTS[1:-1]), other])
