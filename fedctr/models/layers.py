"""Layers whose parameters are shared by all users, or stacked with a leading user axis, one copy for each.

Inputs always have a leading user axis. A shared parameter has the shape that PyTorch gives it; a stacked one has
``(users, *that shape)``. The layer tells them apart by the number of axes, so a model is written once.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache, reduce
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fedctr.data.dataset import Field
from fedctr.models.batch import Coded, below
from fedctr.models.descent import chain, look_up

Side = Literal["user", "item"]


def check_sizes(**sizes: int | tuple[int, ...]) -> None:
    """Refuse sizes that a model cannot have.

    Raises:
        ValueError: when one is no whole number of at least 1, or no list of such.
    """
    for name, size in sizes.items():
        parts = size if isinstance(size, tuple | list) else (size,)
        if not all(type(part) is int and part >= 1 for part in parts):
            raise ValueError(f"{name} is {size!r}; it takes whole numbers of at least 1")


def pick(vectors: Tensor, places: Tensor) -> Tensor:
    """Each user's own vectors at the given places: (users, n, size) at int64 (users, ...) is (users, ..., size)."""
    found: Tensor = _Pick.apply(vectors, below(places, vectors.shape[1]))  # type: ignore[no-untyped-call]
    return found


class _Pick(torch.autograd.Function):
    """A row of a matrix for each place; autograd's own backward pass takes four times as long."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, rows: Tensor) -> Tensor:
        ctx.shape = vectors.shape
        ctx.save_for_backward(rows)
        return F.embedding(rows, vectors.flatten(0, 1))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        users, count, size = ctx.shape
        total = gradient.new_zeros(users * count, size)
        return total.index_add_(0, rows.flatten(), gradient.reshape(-1, size)).view(ctx.shape), None


def pool(vectors: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Each user's own weighted sums of vectors.

    The vectors are not copied for each sample that refers to them, which is what makes histories cheap.

    Args:
        vectors: float32 (users, n, size).
        places: int64 (users, samples, length).
        weights: float32 (users, samples, length).

    Returns:
        float32 (users, samples, size).
    """
    users, count, _ = vectors.shape
    if users == 1:
        return F.embedding_bag(places[0], vectors[0], mode="sum", per_sample_weights=weights[0]).unsqueeze(0)
    matrix = weights.new_zeros(users, places.shape[1], count)
    return torch.bmm(matrix.scatter_add(2, places, weights), vectors)


def beside(user: Tensor, *rest: Tensor) -> Tensor:
    """The user's vectors beside those of each sample.

    Args:
        user: float32 (users, samples or 1, width).
        rest: each float32 (users, samples, width of its own).

    Returns:
        float32 (users, samples, total width).
    """
    return torch.cat([user.expand(-1, rest[0].shape[1], -1), *rest], dim=-1)


def second_order(size: int, *sides: Tensor) -> Tensor:
    """The sum of the inner products of all pairs of fields.

    Half of the square of the fields' sum less their squares: linear in the number of fields (Rendle 2010, lemma 3.1).

    Args:
        size: of one field's vector.
        sides: vectors of fields side by side, each float32 (users, samples or 1, width of its own).

    Returns:
        float32 (users, samples).
    """
    total = reduce(torch.add, [side.unflatten(-1, (side.shape[-1] // size, size)).sum(2) for side in sides])
    squares = reduce(torch.add, [side.square().sum(-1) for side in sides])
    pairs: Tensor = (total.square().sum(-1) - squares) / 2
    return pairs


def inner_products(size: int, *sides: Tensor) -> Tensor:
    """The inner products of all pairs of fields: of the first one with all others, and so on.

    Args:
        size: of one field's vector.
        sides: vectors of fields side by side, as for :func:`beside`.

    Returns:
        float32 (users, samples, pairs).
    """
    joint = beside(*sides)
    vectors = joint.unflatten(-1, (joint.shape[-1] // size, size)).flatten(0, 1)
    products = torch.bmm(vectors, vectors.transpose(1, 2)).flatten(1)
    found: Tensor = products.index_select(1, _pairs(vectors.shape[1], joint.device))
    return found.view(*joint.shape[:2], found.shape[1])


@lru_cache(maxsize=16)
def _pairs(fields: int, device: torch.device) -> Tensor:
    """Where the upper triangle is in a matrix of a row and a column for each field, int64 (pairs,)."""
    rows, columns = torch.triu_indices(fields, fields, offset=1, device=device)
    places: Tensor = rows * fields + columns
    return places


class Linear(nn.Module):
    """``x W' + b``; weight ``([users,] outputs, inputs)``, bias ``([users,] outputs)``.

    Args:
        inputs: width of the input.
        outputs: width of the output.
        bias: whether there is one.
        parts: how many layers of equal width stand in this one, each of which begins as it would alone.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, parts: int = 1) -> None:
        super().__init__()
        weights = [nn.init.xavier_uniform_(torch.empty(outputs // parts, inputs)) for _ in range(parts)]
        self.weight = nn.Parameter(torch.cat(weights))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (users, samples, inputs) to (users, samples, outputs)."""
        return chain(x, None, [(self.weight, self.bias)])


class MLP(nn.Module):
    """Linear layers with ReLU between them and none after the last.

    Args:
        inputs: width of the input.
        widths: outputs of each layer.
        constant: width of a second input that is the same for all samples of a user. It stands beside the first,
            but what the first layer makes of it is computed once, and not for every sample.
    """

    def __init__(self, inputs: int, *widths: int, constant: int = 0) -> None:
        super().__init__()
        layers = [Linear(before, after) for before, after in zip((inputs, *widths), widths, strict=False)]
        self.layers = nn.ModuleList(layers)
        self.constant = Linear(constant, widths[0], bias=False) if constant else None
        if self.constant is not None:  # both inputs begin as one layer on both would
            joint = nn.init.xavier_uniform_(torch.empty(widths[0], inputs + constant))
            with torch.no_grad():
                layers[0].weight.copy_(joint[:, :inputs])
                self.constant.weight.copy_(joint[:, inputs:])

    def forward(self, x: Tensor, constant: Tensor | None = None) -> Tensor:
        """Map float32 (users, samples, inputs), and (users, samples or 1, constant), to (users, samples, outputs)."""
        return self._through(len(self.layers), x, constant)

    def hidden(self, x: Tensor, constant: Tensor | None = None) -> Tensor:
        """What the last layer reads, float32 (users, samples, width), for the same arguments as :meth:`forward`.

        Of a single layer that is ``x``: a constant is the same for all samples, and tells none from another.
        """
        before = len(self.layers) - 1
        return self._through(before, x, constant).relu() if before else x

    def _through(self, count: int, x: Tensor, constant: Tensor | None) -> Tensor:
        """What the first layers make of the input."""
        added = None if self.constant is None or constant is None else self.constant.forward(constant)
        layers = list(cast(Iterable[Linear], self.layers))[:count]
        return chain(x, added, [(layer.weight, layer.bias) for layer in layers])


def last_layers(parameters: Sequence[str], count: int) -> list[str]:
    """Names of the parameters of the last layers of ``deep``, the :class:`MLP` that ends every model that has one.

    Raises:
        ValueError: when there is no such network, or it has fewer layers.
    """
    by_name = {name: re.fullmatch(r"deep\.(?:layers\.(\d+)|constant)\.\w+", name) for name in parameters}
    # The constant input belongs to the first layer.
    layer_of = {name: int(match[1] or 0) for name, match in by_name.items() if match}
    if not layer_of:
        raise ValueError(f"the model has no deep network; its parameters are {', '.join(parameters)}")
    layers = max(layer_of.values()) + 1
    if count > layers:
        raise ValueError(f"the model's deep network has {layers} layers, fewer than {count}")
    return [name for name, layer in layer_of.items() if layer >= layers - count]


def embedding_tables(parameters: Sequence[str]) -> list[str]:
    """Names of the parameters that are tables of :class:`Embeddings`.

    Raises:
        ValueError: when there is none.
    """
    found = [name for name in parameters if _is_table(name)]
    if not found:
        raise ValueError(f"the model has no embedding tables; its parameters are {', '.join(parameters)}")
    return found


def dense_weights(parameters: Sequence[str]) -> list[str]:
    """Names of the parameters that are weights ``(outputs, inputs)`` of dense layers, recurrent units included.

    Raises:
        ValueError: when there is none.
    """
    found = [name for name in parameters if re.search(r"(^|\.)weight$", name) and not _is_table(name)]
    if not found:
        raise ValueError(f"the model has no dense layers; its parameters are {', '.join(parameters)}")
    return found


def _is_table(parameter: str) -> bool:
    return re.search(r"(^|\.)tables\.", parameter) is not None


class Embedding(nn.Module):
    """The table of one field; weight ``(cardinality, size)``, or ``(users, rows, size)`` with the rows in use.

    A field of several values is the mean of those present; a missing value counts as zero.

    Attributes:
        side: whether the field describes the user or the item.
        field: the field's name.
    """

    def __init__(self, side: Side, field: Field, size: int) -> None:
        super().__init__()
        self.side, self.field = side, field.name
        self.weight = nn.Parameter(torch.randn(field.cardinality, size) * 0.01)


class Embeddings(nn.Module):
    """The tables of several fields of one side, side by side."""

    def __init__(self, side: Side, fields: tuple[Field, ...], size: int, *, identity: bool = True) -> None:
        super().__init__()
        self.tables = nn.ModuleDict(
            {field.name: Embedding(side, field, size) for index, field in enumerate(fields) if identity or index > 0}
        )
        self.width = size * len(self.tables)

    def forward(self, coded: Coded) -> Tensor:
        """Vectors float32 (users, places, width)."""
        if not self.tables:
            some = next(iter(coded.values()))
            places = some if isinstance(some, Tensor) else some.rows
            return torch.zeros(*places.shape[:2], 0, device=places.device)
        tables = cast(Collection[Embedding], self.tables.values())
        return look_up([coded[table.field] for table in tables], [table.weight for table in tables])
