"""A model's forward pass, recorded as operations of the kernel.

``torch.fx`` runs the forward pass once, on stand-ins, and keeps what was done. A model whose forward pass it cannot
follow, or that does something which is none of the kernel's operations, has no recording.
"""

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.fx
from torch import nn

from fedctr.fused.plan import (
    ADD,
    BESIDE,
    CLICK,
    CROSS,
    LAYER,
    LOOK_UP,
    MEAN,
    READS_PARAMETERS,
    SAMPLE,
    SECOND_ORDER,
    SHIFT,
    SUM,
    TURN,
    USER,
    USER_LAYER,
)
from fedctr.models import layers
from fedctr.models.layers import MLP, Embedding, Embeddings, Linear
from fedctr.models.model import Model


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
        operations: each which it is, the number of the value that it gives, and what it reads.
        logits: number of the value that holds them.
    """

    values: tuple[Value, ...]
    operations: tuple[tuple[int, ...], ...]
    logits: int


def recording_of(model: Model) -> Recording | None:
    """The recording of a model, made when it is asked for first; None if it has none."""
    if model not in _recordings:
        try:
            _recordings[model] = _Recorder(model).record()
        except UnrecordableError:
            _recordings[model] = None
    return _recordings[model]


_recordings: WeakKeyDictionary[Model, Recording | None] = WeakKeyDictionary()

PLACES = {"user": USER, "item": SAMPLE, "clicks": CLICK}
Found = Any  # the number of a value, the name of a parameter or of a property of the batch, or an argument as it is


class _Tracer(torch.fx.Tracer):
    """Takes layers as a whole."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(layers.beside, layers.second_order))

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, Embeddings | MLP | Linear)


@dataclass(frozen=True)
class _Named:
    """A property of the batch, or a parameter."""

    name: str


class _Recorder:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.numbers = {name: number for number, (name, _) in enumerate(model.named_parameters())}
        self.by_identity = {id(value): number for number, value in enumerate(model.parameters())}
        self.values: list[Value] = []
        self.operations: list[tuple[int, ...]] = []
        self.functions: dict[object, Callable[..., Found]] = {
            getattr: self.read,
            operator.add: self.add,
            torch.addcmul: self.cross,
            torch.cat: self.cat,
            layers.beside: lambda *parts: self.side_by_side(parts),
            layers.second_order: self.second_order,
        }
        self.methods: dict[object, Callable[..., Found]] = {"sum": self.sum, "squeeze": self.squeeze}

    def record(self) -> Recording:
        if any(value.dim() not in (1, 2) or value.dtype != torch.float32 for value in self.model.parameters()):
            raise UnrecordableError("a parameter that is no matrix")
        try:
            graph = _Tracer().trace(self.model)
        except Exception as error:  # whatever a stranger's forward makes of stand-ins
            raise UnrecordableError(str(error)) from error
        found: dict[torch.fx.Node, Found] = {}
        for node in graph.nodes:
            given = torch.fx.node.map_arg((node.args, node.kwargs), found.__getitem__)
            found[node] = self.follow(node, *given)
        logits = found[node]
        if not isinstance(logits, int) or not self.values[logits].flat or self.values[logits].kind != SAMPLE:
            raise UnrecordableError("logits")
        # Backward needs the old values of all but tables until it is done with them.
        uses = Counter(
            operation[column]
            for operation in self.operations
            if operation[0] != LOOK_UP
            for column in READS_PARAMETERS[operation[0]]
        )
        if any(count > 1 for number, count in uses.items() if number >= 0):
            raise UnrecordableError("a parameter that is read twice")
        return Recording(tuple(self.values), tuple(self.operations), logits)

    def follow(self, node: torch.fx.Node, arguments: Sequence[Found], keywords: dict[str, Found]) -> Found:
        """What a node of the graph gives, once it is recorded."""
        match node.op:
            case "placeholder":
                return _Named("batch")
            case "get_attr" if node.target in self.numbers:
                return _Named(str(node.target))
            case "call_module":
                return self.layer(self.model.get_submodule(str(node.target)), *arguments)
            case "call_function" if node.target in self.functions:
                return self.functions[node.target](*arguments, **keywords)
            case "call_method" if node.target in self.methods:
                return self.methods[node.target](*arguments, **keywords)
            case "output":
                return arguments[0]
        raise UnrecordableError(f"{node.op} {node.target}")

    def do(self, code: int, gives: Value, *reads: int) -> int:
        """Record an operation."""
        self.values.append(gives)
        self.again(code, len(self.values) - 1, *reads)
        return len(self.values) - 1

    def again(self, code: int, number: int, *reads: int) -> None:
        """Record an operation that gives some columns of a value."""
        self.operations.append((code, number, *reads, *[-1] * (6 - len(reads))))

    def value(self, found: Found, *, flat: bool = False) -> Value:
        """The value that was found, which must be one."""
        if not isinstance(found, int) or self.values[found].flat != flat:
            raise UnrecordableError("an argument")
        return self.values[found]

    def parameter(self, value: torch.Tensor | None) -> int:
        return -1 if value is None else self.by_identity[id(value)]

    def read(self, batch: Found, name: str) -> _Named:
        if batch != _Named("batch"):
            raise UnrecordableError(f"attribute {name}")
        return _Named(name)

    def add(self, first: Found, second: Found) -> int:
        flat = isinstance(first, int) and self.values[first].flat
        one = self.value(first, flat=flat)
        if isinstance(second, _Named) and second.name in self.numbers:
            parameter = self.model.get_parameter(second.name)
            if parameter.shape != (one.width,):
                raise UnrecordableError("the shape of a parameter")
            return self.do(SHIFT, Value(one.kind, one.width, flat=flat), first, self.numbers[second.name])
        two = self.value(second, flat=flat)
        if one.width != two.width or (one.kind != two.kind and USER not in (one.kind, two.kind)):
            raise UnrecordableError("shapes")
        return self.do(ADD, Value(max(one.kind, two.kind), one.width, flat=flat), first, second)

    def cross(self, first: Found, second: Found, third: Found) -> int:
        values = [self.value(found) for found in (first, second, third)]
        if len(set(values)) > 1:
            raise UnrecordableError("shapes")
        return self.do(CROSS, values[0], first, second, third)

    def sum(self, found: Found, dim: int) -> int:
        value = self.value(found)
        if dim != -1:
            raise UnrecordableError("an axis")
        return self.do(SUM, Value(value.kind, 1, flat=True), found)

    def squeeze(self, found: Found, dim: int) -> int:
        value = self.value(found)
        if dim != -1 or value.width != 1:
            raise UnrecordableError("an axis")
        return self.do(BESIDE, Value(value.kind, 1, flat=True), found, 0)

    def cat(self, parts: Sequence[Found], dim: int = 0) -> int:
        if dim != -1 or len({self.value(part).kind for part in parts}) > 1:
            raise UnrecordableError("an axis")
        return self.side_by_side(parts)

    def side_by_side(self, parts: Sequence[Found]) -> int:
        values = [self.value(part) for part in parts]
        self.values.append(Value(max(value.kind for value in values), sum(value.width for value in values)))
        number, column = len(self.values) - 1, 0
        for part, value in zip(parts, values, strict=True):
            if value.kind not in (USER, self.values[number].kind):
                raise UnrecordableError("shapes")
            self.again(BESIDE, number, part, column)
            column += value.width
        return number

    def second_order(self, size: int, *sides: Found) -> int:
        joint = self.side_by_side(sides)
        self.values.append(Value(self.values[joint].kind, size))
        room = len(self.values) - 1
        return self.do(SECOND_ORDER, Value(self.values[joint].kind, 1, flat=True), joint, size, room)

    def layer(self, module: nn.Module, *arguments: Found) -> int:
        """What a layer gives."""
        match module, arguments:
            case Embeddings(), [_Named(name)] if name in PLACES:
                return self.look_up(module, PLACES[name])
            case Embeddings(), [_Named("mean_click")]:
                return self.do(MEAN, Value(SAMPLE, module.width), self.look_up(module, CLICK))
            case Linear(), [x] if self.value(x).kind == USER:
                return self.user_layer(module, x)
            case Linear(), [x]:
                return self.chain(x, -1, [module])
            case MLP(), [x, constant] if module.constant is not None and self.value(constant).kind == USER:
                return self.chain(x, self.user_layer(module.constant, constant), list(module.layers))
            case MLP(), [x, *_] if module.constant is None:
                return self.chain(x, -1, list(module.layers))
        raise UnrecordableError(type(module).__name__)

    def look_up(self, module: Embeddings, kind: int) -> int:
        self.values.append(Value(kind, module.width))
        number, column = len(self.values) - 1, 0
        for table in module.tables.values():
            assert isinstance(table, Embedding)
            self.again(LOOK_UP, number, self.parameter(table.weight), column)
            column += table.weight.shape[1]
        return number

    def user_layer(self, module: Linear, x: int) -> int:
        gives = Value(USER, module.weight.shape[0])
        return self.do(USER_LAYER, gives, x, self.parameter(module.weight), self.parameter(module.bias))

    def chain(self, x: int, constant: int, chained: Sequence[nn.Module]) -> int:
        """Layers with ReLU between them; samples are side by side from the first to the last."""
        kind = self.value(x).kind
        if kind == USER:
            raise UnrecordableError("layers of the user alone")
        across = self.do(TURN, Value(kind, self.values[x].width, across=True), x)
        for index, module in enumerate(chained):
            assert isinstance(module, Linear)
            width, added, relu = module.weight.shape[0], -1 if index else constant, int(index + 1 < len(chained))
            reads = across, x, self.parameter(module.weight), self.parameter(module.bias), added, relu
            across = self.do(LAYER, Value(kind, width, across=True), *reads)
            x = self.do(TURN, Value(kind, width), across)
        return x
