"""Gradient descent on stacked weights in the midst of the backward pass.

Of what a step of fine-tuning costs, reading and writing every user's weights is a large part. A layer that knows its
own gradient can subtract it at once (``W -= rate * dy' x`` is one matrix product), instead of handing it on to be
stored and read again.
"""

from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar, Token
from math import gcd
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr.models.batch import ALIGNED, Places

FEW = 16384  # rows up to which index_put_ is faster than index_add_; they give the same bits

_current: ContextVar["Descent | None"] = ContextVar("descent", default=None)


class Descent:
    """While it is entered, layers take note that their backward pass should move their stacked weights.

    A weight that linear layers use several times gets its gradient from autograd as usual, since its old value is
    needed until all of them are done. So does one that is no leaf, and a parameter that no layer uses.

    Args:
        rate: step size; None to have all gradients collected, in a form that rounds alike in every cohort.
    """

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._uses: Counter[int] = Counter()
        self._token: Token[Descent | None] | None = None

    def __enter__(self) -> "Descent":
        self._uses.clear()
        self._token = _current.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        if self._token is not None:
            _current.reset(self._token)

    @staticmethod
    def entered() -> "Descent | None":
        """The descent that layers are in the midst of."""
        return _current.get()

    def uses(self, *weights: Tensor | None) -> None:
        """Note that a layer uses these weights."""
        self._uses.update(_storage(weight) for weight in weights if weight is not None)

    def moves(self, weight: Tensor) -> bool:
        """Whether backward may move it: a leaf that was used once since the descent was entered, views included."""
        return self.rate is not None and weight.is_leaf and self._uses[_storage(weight)] == 1


def look_up(places: Sequence[Places], tables: Sequence[Tensor]) -> Tensor:
    """Vectors of several fields side by side.

    Args:
        places: of each field; all have as many users and places.
        tables: each ``(rows, size)``, or stacked ``(users, rows, size)``.

    Returns:
        float32 (users, places, total size).
    """
    found: Tensor = _LookUp.apply(Descent.entered(), places, *tables)  # type: ignore[no-untyped-call]
    return found


def chain(x: Tensor, constant: Tensor | None, layers: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """Linear layers with ReLU between them.

    Args:
        x: float32 (users, samples, inputs).
        constant: is added to what the first layer gives, float32 (users, samples or 1, outputs).
        layers: weight ``([users,] outputs, inputs)`` and bias ``([users,] outputs)`` of each.

    Returns:
        float32 (users, samples, outputs of the last layer).
    """
    flat = [parameter for layer in layers for parameter in layer]
    descent = Descent.entered()
    stacked = all(weight.dim() == 3 and (bias is None or bias.dim() == 2) for weight, bias in layers)
    if descent and stacked and any(parameter is not None and parameter.requires_grad for parameter in flat):
        descent.uses(*flat)
        y: Tensor = _Chain.apply(descent, x, constant, *flat)  # type: ignore[no-untyped-call]
        return y
    for index, (weight, bias) in enumerate(layers):
        x = torch.relu(x) if index else x
        x = _linear(x, weight, bias)
        x = x + constant if constant is not None and not index else x
    return x


def weight_gradient(descent: Descent | None, weight: Tensor, gradient: Tensor, x: Tensor) -> Tensor | None:
    """The gradient of each user's weight; None if the descent moves the weight along it at once.

    Args:
        descent: that was entered when the layer was used.
        weight: float32 (users, outputs, inputs).
        gradient: of what the layer gave, float32 (users, samples, outputs).
        x: what it read, float32 (users, samples, inputs).
    """
    if descent and descent.rate is not None and descent.moves(weight):
        weight.baddbmm_(gradient.transpose(1, 2), x, alpha=-descent.rate)
        return None
    return _aligned_product(gradient.transpose(1, 2), x)


def product(left: Tensor, right: Tensor, start: Tensor | None = None) -> Tensor:
    """Each user's matrix product, and gradients of it, that round alike in every cohort.

    Args:
        left: float32 (users, rows, inner).
        right: float32 (users, inner, columns).
        start: float32 (users, rows, columns), what the product is added to, if anything.

    Returns:
        float32 (users, rows, columns).
    """
    found: Tensor = _Product.apply(left, right, start)  # type: ignore[no-untyped-call]
    return found


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, start: Tensor | None) -> Tensor:
        ctx.save_for_backward(left, right)
        return _aligned_product(left, right, start)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        left, right = ctx.saved_tensors
        of_left = _aligned_product(gradient, right.transpose(1, 2))
        of_right = _aligned_product(left.transpose(1, 2), gradient)
        return of_left, of_right, gradient if ctx.needs_input_grad[2] else None


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, descent: Descent | None, places: Sequence[Places], *tables: Tensor) -> Tensor:
        ctx.descent, ctx.places, ctx.tables = descent, places, tables
        vectors = [_vectors(place, table) for place, table in zip(places, tables, strict=True)]
        return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = [None] * len(ctx.tables)
        first = 0
        for index, (place, table) in enumerate(zip(ctx.places, ctx.tables, strict=True)):
            size = table.shape[-1]
            own, first = gradient.narrow(2, first, size), first + size
            if not table.requires_grad:
                continue
            if ctx.descent and ctx.descent.rate is not None and table.dim() == 3 and table.is_leaf:
                _add(place, own, table, -ctx.descent.rate)
            else:
                found[index] = total = torch.zeros_like(table)
                _add(place, own, total, 1.0)
        return None, None, *found


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, descent: Descent, x: Tensor, constant: Tensor | None, *flat: Tensor | None) -> Tensor:
        inputs = []
        for index in range(0, len(flat), 2):
            inputs.append(x)
            weight, bias = flat[index], flat[index + 1]
            assert weight is not None
            start = None if bias is None else bias.unsqueeze(1)
            if not index and constant is not None:
                start = constant if start is None else start + constant
            x = _product(start, x, weight)
            if index + 2 < len(flat):
                x.relu_()
        ctx.descent, ctx.flat = descent, flat
        ctx.one_place = constant is not None and constant.shape[1] == 1
        ctx.save_for_backward(*inputs)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs: tuple[Tensor, ...] = ctx.saved_tensors
        _, needs_x, needs_constant, *needs = ctx.needs_input_grad
        found: list[Tensor | None] = [None] * len(ctx.flat)
        before: Tensor | None = None
        for index in reversed(range(len(inputs))):
            x, weight, bias = inputs[index], ctx.flat[2 * index], ctx.flat[2 * index + 1]
            if index or needs_x:
                before = torch.bmm(gradient, weight)
            if needs[2 * index]:
                found[2 * index] = weight_gradient(ctx.descent, weight, gradient, x)
            if needs[2 * index + 1]:
                if ctx.descent.moves(bias):
                    bias.sub_(gradient.sum(1), alpha=ctx.descent.rate)
                else:
                    found[2 * index + 1] = gradient.sum(1)
            if index:
                gradient = torch.ops.aten.threshold_backward(before, x, 0)
        constant = None
        if needs_constant:
            constant = gradient.sum(1, keepdim=True) if ctx.one_place else gradient
        return None, before if needs_x else None, constant, *found


def _storage(weight: Tensor) -> int:
    return weight.untyped_storage().data_ptr()


def _aligned_product(left: Tensor, right: Tensor, start: Tensor | None = None) -> Tensor:
    """Each user's product, added to what there is at first.

    It is written from a multiple of 64 bytes on: elsewhere it would be rounded differently.
    """
    width = right.shape[2]
    missing = -width % (ALIGNED // gcd(left.shape[1], ALIGNED))
    if missing:
        right = F.pad(right, (0, missing))
        start = None if start is None else F.pad(start, (0, missing))
    return (torch.bmm(left, right) if start is None else torch.baddbmm(start, left, right))[..., :width]


def _vectors(place: Places, table: Tensor) -> Tensor:
    """Vectors (users, places, size) of one field."""
    if isinstance(place, Tensor):
        table = table.expand(len(place), -1, -1)[:, : place.shape[2]]
        if table.shape[2] == 1:  # products with a single column are slow
            return (place * table.transpose(1, 2)).sum(2, keepdim=True)
        return torch.bmm(place, table)
    rows = place.below(table.shape[1] if table.dim() == 3 else 0)
    table = table.reshape(-1, table.shape[-1])
    if rows.dim() == 2:
        vectors = F.embedding(rows, table)
        return vectors if place.weights is None else vectors * place.weights
    values = rows.shape[2]
    weights = None if place.weights is None else place.weights.reshape(-1, values).to(table.dtype)
    flat = F.embedding_bag(rows.reshape(-1, values), table, mode="sum", per_sample_weights=weights)
    return flat.view(*rows.shape[:2], table.shape[1])


def _add(place: Places, vectors: Tensor, table: Tensor, scale: float) -> None:
    """Add vectors (users, places, size), times a number, to the rows that the places hold."""
    if isinstance(place, Tensor):
        if table.dim() == 3 and table.shape[2] == 1:
            table.squeeze(2).add_((place * vectors).sum(1), alpha=scale)
        elif table.dim() == 3:
            table.baddbmm_(place.transpose(1, 2), vectors, alpha=scale)
        else:
            table.addmm_(place.flatten(0, 1).T, vectors.flatten(0, 1), alpha=scale)
        return
    rows, weights = place.below(table.shape[1] if table.dim() == 3 else 0), place.weights
    flat = table.view(-1, table.shape[-1])
    if rows.dim() == 3:  # several values
        vectors = vectors.unsqueeze(2).expand(-1, -1, rows.shape[2], -1)
        weights = None if weights is None else weights.unsqueeze(3)
    moves = vectors * (scale if weights is None else weights * scale)
    if rows.numel() < FEW:
        flat.index_put_((rows,), moves, accumulate=True)
    else:
        flat.index_add_(0, rows.flatten(), moves.view(-1, flat.shape[1]))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    users = x.shape[0]
    if users == 1 and weight.dim() == 2 and (bias is None or bias.dim() == 1):
        return F.linear(x, weight, bias)
    # One matrix product per user even where the weight is shared: a product over all users' samples at once
    # rounds differently from one user's alone, and results must not depend on who shares a cohort.
    start = None if bias is None else bias.expand(users, -1).unsqueeze(1)
    return _product(start, x, weight.expand(users, -1, -1))


def _product(start: Tensor | None, x: Tensor, weight: Tensor) -> Tensor:
    if start is None:
        return torch.bmm(x, weight.transpose(1, 2))
    return torch.baddbmm(start, x, weight.transpose(1, 2))
