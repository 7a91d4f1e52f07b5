"""What moves the stacked weights of a cohort along their gradients, every user's by the same rule and on its own."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fedctr.models.descent import Descent
from fedctr.recipe import Recipe
from fedctr.stacking import Parameters

Gradients = Mapping[str, Tensor | None]


class StackedOptimiser(Protocol):
    """How the engine moves weights; ``forward`` is entered for the forward pass of every step."""

    @property
    def forward(self) -> AbstractContextManager[object]:
        """Tells layers what their backward pass is to do with a gradient."""

    def step(self, moved: Parameters, pulls: Gradients, users: int) -> None:
        """Move what the backward pass has not moved yet, and forget its gradients.

        Args:
            moved: stacked leaves (active users, ...) that have been through a backward pass.
            pulls: further gradients of some of them, from a penalty.
            users: how many of the active ones have samples in this step; they come first.
        """


class SGD:
    """Plain gradient descent; most weights are moved in the midst of the backward pass.

    Args:
        rate: step size.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.forward = Descent(rate)

    @torch.no_grad()
    def step(self, moved: Parameters, pulls: Gradients, users: int) -> None:
        """Move what no layer has moved."""
        for name, value in moved.items():
            for gradient in (value.grad, pulls.get(name)):  # no grad where a layer has moved the value
                if gradient is not None:
                    value.sub_(gradient, alpha=self._rate)
            value.grad = None


class Adam:
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1) with PyTorch's defaults, and moments and steps of each user's own.

    Every operation rounds once: those that multiply and add in one round differently in and out of vector
    instructions, and so by a user's place in the cohort.

    Args:
        rate: step size.
        tuned: the stacked weights (users, ...).
    """

    FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, rate: float, tuned: Parameters) -> None:
        self._rate = rate
        self._steps = np.zeros(len(next(iter(tuned.values()))), dtype=np.int64)
        self._moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in tuned.items()}
        self.forward = Descent(None)

    @torch.no_grad()
    def step(self, moved: Parameters, pulls: Gradients, users: int) -> None:
        """Move all weights of the users who have samples, also those that only earlier steps have touched."""
        self._steps[:users] += 1
        # As Python computes powers, whoever is beside whom.
        steps = [int(step) for step in self._steps[:users]]
        sizes = torch.tensor([self._rate / (1 - self.FIRST**step) for step in steps])
        roots = torch.tensor([(1 - self.SECOND**step) ** 0.5 for step in steps])
        for name, value in moved.items():
            gradient = _sum(value.grad, pulls.get(name))
            value.grad = None
            if gradient is None:
                continue
            gradient = gradient[:users]
            first, second = (moment[:users] for moment in self._moments[name])
            first.mul_(self.FIRST).add_(gradient * (1 - self.FIRST))
            second.mul_(self.SECOND).add_((gradient * gradient).mul_(1 - self.SECOND))
            each = (users, *[1] * (value.dim() - 1))
            size, root = (factor.to(value.device).view(each) for factor in (sizes, roots))
            value[:users].sub_((first * size).div_(second.sqrt().div_(root).add_(self.EPSILON)))


def optimiser_of(recipe: Recipe, tuned: Parameters) -> StackedOptimiser:
    """What the recipe asks for.

    Args:
        recipe: its step size and optimiser.
        tuned: the stacked weights that will be moved.
    """
    return Adam(recipe.learning_rate, tuned) if recipe.optimiser == "adam" else SGD(recipe.learning_rate)


def _sum(gradient: Tensor | None, pull: Tensor | None) -> Tensor | None:
    if gradient is None or pull is None:
        return pull if gradient is None else gradient
    return gradient + pull
