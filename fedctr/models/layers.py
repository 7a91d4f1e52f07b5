"""Layers whose parameters are shared by all users, or stacked with a leading user axis, one copy for each.

Inputs always have a leading user axis. A shared parameter has the shape that PyTorch gives it; a stacked one has
``(users, *that shape)``. The layer tells them apart by the number of axes, so a model is written once.
"""

from math import gcd
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fedctr.data.dataset import Field, slices

Side = Literal["user", "item"]
ALIGNED = 16  # floats in 64 bytes; matrix products round differently where a matrix begins elsewhere


def check_sizes(**sizes: int | tuple[int, ...]) -> None:
    """Refuse sizes that a model cannot have.

    Raises:
        ValueError: when one is no whole number of at least 1, or no list of such.
    """
    for name, size in sizes.items():
        parts = size if isinstance(size, tuple | list) else (size,)
        if not all(type(part) is int and part >= 1 for part in parts):
            raise ValueError(f"{name} is {size!r}; it takes whole numbers of at least 1")


def pick(vectors: Tensor, rows: Tensor) -> Tensor:
    """Each user's own vectors at the given rows: (users, n, size) at int64 (users, ...) is (users, ..., size)."""
    users, count, size = vectors.shape
    first = torch.arange(0, users * count, count).view(-1, *[1] * (rows.dim() - 1))
    return F.embedding(rows + first, vectors.reshape(-1, size))


def pool(vectors: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Each user's own weighted sums of vectors; row 0, "nothing here", counts as zero whatever its weight.

    The vectors are not copied for each sample that refers to them, which is what makes histories cheap.

    Args:
        vectors: float32 (users, n, size), row 0 all zeros.
        rows: int64 (users, samples, length).
        weights: float32 (users, samples, length).

    Returns:
        float32 (users, samples, size).
    """
    users, count, _ = vectors.shape
    if users == 1:
        return F.embedding_bag(rows[0], vectors[0], mode="sum", per_sample_weights=weights[0]).unsqueeze(0)
    places = torch.zeros(users, rows.shape[1], count, dtype=weights.dtype)
    return torch.bmm(places.scatter_add(2, rows, weights), vectors)


class Linear(nn.Module):
    """``x W' + b``; weight ``([users,] outputs, inputs)``, bias ``([users,] outputs)``."""

    weight: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, inputs)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (users, samples, inputs) to (users, samples, outputs)."""
        weight, bias = self.weight, self.bias
        users = x.shape[0]
        if users == 1 and weight.dim() == 2 and bias.dim() == 1:
            return F.linear(x, weight, bias)
        # One matrix product per user even where the weight is shared: a product over all users' samples at once
        # rounds differently from one user's alone, and results must not depend on who shares a cohort.
        weight = weight.expand(users, -1, -1)
        bias = bias.expand(users, -1)
        missing = -x.shape[2] % (ALIGNED // gcd(weight.shape[1], ALIGNED))
        if missing:  # zeros that let every user's weights and their gradients begin at an aligned address
            x, weight = F.pad(x, (0, missing)), F.pad(weight, (0, missing))
        return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


class MLP(nn.Module):
    """Linear layers with ReLU between them and none after the last."""

    def __init__(self, inputs: int, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Linear(before, after) for before, after in zip((inputs, *widths), widths, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (users, samples, inputs) to (users, samples, last width)."""
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.relu(layer(x))
        y: Tensor = last(x)
        return y


class Embedding(nn.Module):
    """The table of one field; weight ``(cardinality, size)``, or ``(users, rows, size)`` with the rows in use.

    A field of several values is the mean of those present. Row 0, "nothing here", counts as zero.

    Attributes:
        side: whether the field describes the user or the item.
        field: the field's name.
        columns: where the field's codes stand in the matrix of that side.
    """

    def __init__(self, side: Side, field: Field, columns: slice, size: int) -> None:
        super().__init__()
        self.side, self.field, self.columns = side, field.name, columns
        self.weight = nn.Parameter(torch.randn(field.cardinality, size) * 0.01)

    def forward(self, codes: Tensor) -> Tensor:
        """Map int32 (users, ..., columns of the side) to float32 (users, ..., size)."""
        codes = codes[..., self.columns]
        present = (codes > 0).unsqueeze(-1).to(self.weight.dtype)
        if self.weight.dim() == 3:
            users, rows, _ = self.weight.shape
            first = torch.arange(0, users * rows, rows, dtype=codes.dtype)
            codes = codes + first.view(-1, *[1] * (codes.dim() - 1))
        vectors = F.embedding(codes, self.weight.reshape(-1, self.weight.shape[-1])) * present
        if vectors.shape[-2] == 1:
            return vectors.squeeze(-2)
        return vectors.sum(-2) / present.sum(-2).clamp(min=1)


class Embeddings(nn.Module):
    """The tables of several fields of one side, side by side."""

    def __init__(self, side: Side, fields: tuple[Field, ...], size: int, *, identity: bool = True) -> None:
        super().__init__()
        self.tables = nn.ModuleDict(
            {
                field.name: Embedding(side, field, columns, size)
                for index, (field, columns) in enumerate(slices(fields))
                if identity or index > 0
            }
        )
        self.width = size * len(self.tables)

    def forward(self, codes: Tensor) -> Tensor:
        """Map int32 (users, ..., columns) to float32 (users, ..., width)."""
        if not self.tables:
            return torch.zeros(*codes.shape[:-1], 0)
        return torch.cat([table(codes) for table in self.tables.values()], dim=-1)
