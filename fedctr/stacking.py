"""Parameters with a leading user axis: a private copy for every user."""

import copy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fedctr.models.batch import ALIGNED
from fedctr.models.model import Model

Parameters = dict[str, Tensor]
# Elementwise functions go through this many floats at once, and through the remainder one by one, where sigmoid and
# softplus round differently. No tensor of a multiple of it has a remainder.
LANES = 32


def filled(model: Model, parameters: Parameters) -> Model:
    """The model with other parameters; valid until it is filled again."""
    shell = _shells.get(model)
    if shell is None:
        shell = _shells[model] = copy.deepcopy(model, {id(value): value for value in model.parameters()})
    for name, value in parameters.items():
        module, _, leaf = name.rpartition(".")
        shell.get_submodule(module)._parameters[leaf] = value  # type: ignore[assignment]
    return shell


_shells: WeakKeyDictionary[Model, Model] = WeakKeyDictionary()


def own(value: Tensor) -> Tensor:
    """A copy to be tuned, in which every user's part begins at a multiple of 64 bytes."""
    users, size = len(value), value[0].numel()
    room = value.new_empty(users, -(-size // ALIGNED) * ALIGNED)
    return room[:, :size].view(value.shape).copy_(value)


def aligned(value: Tensor) -> Tensor:
    """The same values, as :func:`own` puts them, with the gradients going on to where the value came from."""
    copied: Tensor = _Aligned.apply(value)  # type: ignore[no-untyped-call]
    return copied


class _Aligned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return own(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def repeated(values: Tensor) -> Tensor:
    """The users' values, repeated from the first up to a multiple of ``LANES``."""
    users = len(values)
    if users % LANES == 0:
        return values
    places = torch.arange(-(-users // LANES) * LANES, device=values.device) % users
    return values.index_select(0, places)
