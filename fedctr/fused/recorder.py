"""A forward pass, as it is written down operation by operation, and what its layers are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from fedctr.fused.plan import ARGUMENTS, BESIDE, LAYER, LOOK_UP, READS_VALUES, TURN, USER, USER_LAYER, A
from fedctr.models.layers import Embedding, Embeddings, Linear
from fedctr.models.model import Model

Found = Any  # the number of a value, the name of a parameter or of a property of the batch, or an argument as it is


class Number(int):
    """The number of a value; a whole number that a forward pass computes with is none."""


Operation = tuple[int, ...]  # which it is, the number of the value that it gives, and what it reads


class UnrecordableError(Exception):
    """The kernel has no such operation."""


@dataclass(frozen=True)
class Value:
    """What an operation gives.

    Attributes:
        kind: what it has rows for.
        width: its columns.
        across: whether it lies across.
        flat: whether PyTorch's tensor is without the axis of columns; there is one.
    """

    kind: int
    width: int
    across: bool = False
    flat: bool = False


@dataclass(frozen=True)
class Recording:
    """A model's forward pass.

    Attributes:
        values: of all operations.
        operations: one after the other.
        logits: number of the value that holds them.
        representation: of that which is the penultimate layer; -1 if the model has none, or one of its own.
    """

    values: tuple[Value, ...]
    operations: tuple[Operation, ...]
    logits: int
    representation: int


class Recorder:
    """Writes down values and operations.

    Args:
        model: whose parameters they read.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.numbers = {name: number for number, (name, _) in enumerate(model.named_parameters())}
        self.by_identity = {id(value): number for number, value in enumerate(model.parameters())}
        self.values: list[Value] = []
        self.operations: list[Operation] = []
        self.turned: dict[int, Number] = {}  # values that lie across, by the number of the same one that does not
        self.waiting: dict[int, Number] = {}  # those of them that are turned back once somebody reads them

    def do(self, code: int, gives: Value, *reads: int) -> Number:
        """Record an operation."""
        number = self._numbered(gives)
        self.again(code, number, *reads)
        return number

    def again(self, code: int, number: int, *reads: int) -> None:
        """Record an operation that gives some columns of a value."""
        for column in READS_VALUES[code]:
            read = reads[column - A]
            if read in self.waiting:
                self.again(TURN, read, self.waiting.pop(read))
        self.operations.append((code, number, *reads, *[-1] * (ARGUMENTS - len(reads))))

    def room(self, kind: int, width: int, *, across: bool = False) -> Number:
        """Room for what an operation keeps beside what it gives."""
        return self._numbered(Value(kind, width, across=across))

    def _numbered(self, value: Value) -> Number:
        self.values.append(value)
        return Number(len(self.values) - 1)

    def value(self, found: Found, *, flat: bool = False) -> Value:
        """The value that was found, which must be one."""
        if not isinstance(found, Number) or self.values[found].flat != flat:
            raise UnrecordableError("an argument")
        return self.values[found]

    def parameter(self, value: torch.Tensor | None) -> int:
        """The number of a parameter; -1 stands for none."""
        return -1 if value is None else self.by_identity[id(value)]

    def side_by_side(self, parts: Sequence[Found]) -> Number:
        """Values side by side; what is the user's stands beside every sample."""
        values = [self.value(part) for part in parts]
        number = self.room(max(value.kind for value in values), sum(value.width for value in values))
        column = 0
        for part, value in zip(parts, values, strict=True):
            if value.kind not in (USER, self.values[number].kind):
                raise UnrecordableError("shapes")
            self.again(BESIDE, number, part, column)
            column += value.width
        return number

    def look_up(self, module: Embeddings, kind: int) -> Number:
        """Embeddings of what there are rows for."""
        number, column = self.room(kind, module.width), 0
        for table in module.tables.values():
            assert isinstance(table, Embedding)
            self.again(LOOK_UP, number, self.parameter(table.weight), column)
            column += table.weight.shape[1]
        return number

    def user_layer(self, module: Linear, x: int) -> Number:
        """A layer of the user alone."""
        gives = Value(USER, module.weight.shape[0])
        return self.do(USER_LAYER, gives, x, self.parameter(module.weight), self.parameter(module.bias))

    def across(self, x: Number) -> Number:
        """A value, turned so that it lies across."""
        if x not in self.turned:
            self.turned[x] = self.do(TURN, replace(self.values[x], across=True), x)
        return self.turned[x]

    def turned_back(self, across: Number) -> Number:
        """The same the other way round, for those who read it so."""
        value = self.values[across]
        x = self.room(value.kind, value.width)
        self.turned[x] = self.waiting[x] = across
        return x

    def chain(self, x: Number, constant: int, chained: Sequence[nn.Module]) -> Number:
        """Layers with ReLU between them; samples are side by side from the first to the last."""
        kind = self.value(x).kind
        if kind == USER:
            raise UnrecordableError("layers of the user alone")
        across = self.across(x)
        for index, module in enumerate(chained):
            assert isinstance(module, Linear)
            added, relu = -1 if index else constant, int(index + 1 < len(chained))
            parameters = self.parameter(module.weight), self.parameter(module.bias)
            gives = Value(kind, module.weight.shape[0], across=True)
            across = self.do(LAYER, gives, across, x, *parameters, added, relu, int(x in self.waiting))
            x = self.turned_back(across)
        return x
