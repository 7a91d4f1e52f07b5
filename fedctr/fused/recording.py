"""A model's forward pass, recorded as operations of the kernel.

``torch.fx`` runs the forward pass once, on stand-ins, and keeps what was done. A model whose forward pass it cannot
follow, or that does something which is none of the kernel's operations, has no recording.
"""

import math
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import signature

import torch
import torch.fx
from torch import nn

from fedctr.data.dataset import Schema
from fedctr.fused.in_place import in_place
from fedctr.fused.operations.recurrence import room_for_weights, width_of_row
from fedctr.fused.plan import (
    ADD,
    ATTEND,
    ATTEND_FIELDS,
    BESIDE,
    CLICK,
    CODE,
    CROSS,
    FOLLOW,
    INNER,
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
    A,
    C,
)
from fedctr.fused.recorder import Found, Number, Recorder, Recording, UnrecordableError, Value
from fedctr.fused.tiles import FEW, padded
from fedctr.models import layers
from fedctr.models.attention import attend, attend_fields
from fedctr.models.gru import GRU, follow_interest
from fedctr.models.layers import MLP, Embeddings, Linear
from fedctr.models.model import Model
from fedctr.published import Published


def recording_of(published: Published) -> Recording | None:
    """The recording of a published model; None if it has none.

    It is made once for all models that differ in their parameters alone.
    """
    kind = type(published.model), published.spec, published.schema
    if kind not in _recordings:
        _recordings[kind] = record(published.model)
    return _recordings[kind]


_recordings: dict[tuple[type[Model], str, Schema], Recording | None] = {}


def record(model: Model) -> Recording | None:
    """Record a model; None if that cannot be done."""
    try:
        return _Follower(model).record()
    except UnrecordableError:
        return None


PLACES = {"user": USER, "item": SAMPLE, "clicks": CLICK}


class _Tracer(torch.fx.Tracer):
    """Takes layers as a whole, but not what is derived from one, which may compute something else."""

    def __init__(self) -> None:
        super().__init__(
            autowrap_functions=(
                layers.beside,
                layers.second_order,
                layers.inner_products,
                attend,
                attend_fields,
                follow_interest,
            )
        )

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return type(module) in (Embeddings, MLP, Linear)


@dataclass(frozen=True)
class _Named:
    """A property of the batch, or a parameter."""

    name: str


def _done(operation: Callable[..., Found], arguments: Sequence[Found], keywords: dict[str, Found]) -> Found:
    """What an operation gives; it may take fewer arguments here than it does in PyTorch, or need more."""
    try:
        signature(operation).bind(*arguments, **keywords)
    except TypeError as error:
        raise UnrecordableError(str(error)) from error
    return operation(*arguments, **keywords)


class _Follower(Recorder):
    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.modules = dict(model.named_modules())
        self.functions: dict[object, Callable[..., Found]] = {
            getattr: self.read,
            operator.add: self.add,
            torch.addcmul: self.cross,
            torch.cat: self.cat,
            layers.beside: lambda *parts: self.side_by_side(parts),
            layers.second_order: self.second_order,
            layers.inner_products: self.inner_products,
            attend: self.attend,
            attend_fields: self.attend_fields,
            follow_interest: self.follow_interest,
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
        if not isinstance(logits, Number) or not self.values[logits].flat or self.values[logits].kind != SAMPLE:
            raise UnrecordableError("logits")
        # Backward needs the old values of all but tables until it is done with them.
        uses = Counter(
            operation[column]
            for operation in self.operations
            if operation[CODE] != LOOK_UP
            for column in READS_PARAMETERS[operation[CODE]]
        )
        if any(count > 1 for number, count in uses.items() if number >= 0):
            raise UnrecordableError("a parameter that is read twice")
        operations = tuple(in_place(self.values, self.operations))
        return Recording(tuple(self.values), operations, logits, self.representation())

    def representation(self) -> int:
        """What the last layer of ``deep`` reads, where that is what the model represents samples by."""
        deep = getattr(self.model, "deep", None)
        if type(deep) is not MLP or type(self.model).represent is not Model.represent:
            return -1
        (*_, last) = deep.layers
        assert isinstance(last, Linear)
        weight = self.parameter(last.weight)
        found = (each[A] for each in self.operations if each[CODE] == LAYER and each[C] == weight)
        return next((number for number in found if self.values[number].kind == SAMPLE), -1)

    def follow(self, node: torch.fx.Node, arguments: Sequence[Found], keywords: dict[str, Found]) -> Found:
        """What a node of the graph gives, once it is recorded."""
        match node.op:
            case "placeholder":
                return _Named("batch")
            case "get_attr" if node.target in self.numbers:
                return _Named(str(node.target))
            case "get_attr" if type(found := self.modules.get(str(node.target))) in (Linear, GRU):
                return found
            case "call_module":
                return self.layer(self.model.get_submodule(str(node.target)), *arguments)
            case "call_function" if node.target in self.functions:
                return _done(self.functions[node.target], arguments, keywords)
            case "call_method" if node.target in self.methods:
                return _done(self.methods[node.target], arguments, keywords)
            case "output":
                return arguments[0]
        raise UnrecordableError(f"{node.op} {node.target}")

    def read(self, batch: Found, name: str) -> _Named:
        if batch != _Named("batch"):
            raise UnrecordableError(f"attribute {name}")
        return _Named(name)

    def add(self, first: Found, second: Found) -> Number:
        flat = isinstance(first, Number) and self.values[first].flat
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

    def cross(self, first: Found, second: Found, third: Found) -> Number:
        values = [self.value(found) for found in (first, second, third)]
        if len(set(values)) > 1:
            raise UnrecordableError("shapes")
        across = (self.across(found) for found in (first, second, third))
        return self.turned_back(self.do(CROSS, replace(values[0], across=True), *across))

    def sum(self, found: Found, dim: int) -> Number:
        value = self.value(found)
        if dim != -1:
            raise UnrecordableError("an axis")
        return self.do(SUM, Value(value.kind, 1, flat=True), found)

    def squeeze(self, found: Found, dim: int) -> Number:
        value = self.value(found)
        if dim != -1 or value.width != 1:
            raise UnrecordableError("an axis")
        flat = replace(value, flat=True)
        if self.operations[-1][:2] == (TURN, found):  # which nobody has read yet
            self.values[found] = flat
            return Number(found)
        return self.do(BESIDE, flat, found, 0)

    def cat(self, parts: Sequence[Found], dim: int = 0) -> Number:
        if dim != -1 or len({self.value(part).kind for part in parts}) > 1:
            raise UnrecordableError("an axis")
        return self.side_by_side(parts)

    def second_order(self, size: int, *sides: Found) -> Number:
        joint = self.side_by_side(sides)
        room = self.room(self.values[joint].kind, size)
        return self.do(SECOND_ORDER, Value(self.values[joint].kind, 1, flat=True), joint, size, room)

    def inner_products(self, size: int, *sides: Found) -> Number:
        joint = self.side_by_side(sides)
        value = self.values[joint]
        if value.kind == USER:
            raise UnrecordableError("products of the user alone")
        pairs = math.comb(value.width // size, 2)
        across = self.do(INNER, Value(value.kind, pairs, across=True), self.across(joint), size)
        return self.turned_back(across)

    def attend(
        self,
        item: Found,
        clicks: Found,
        history: Found,
        by_item: Linear,
        by_click: Linear,
        by_product: Linear,
        weigh: Linear,
    ) -> Number:
        value, size = self.value(item), by_product.weight.shape[0]
        kinds = value.kind, self.value(clicks).kind, history
        if kinds != (SAMPLE, CLICK, _Named("history")) or weigh.weight.shape != (1, size):
            raise UnrecordableError("shapes")
        of_item, of_click = self.chain(item, -1, [by_item]), self.chain(clicks, -1, [by_click])
        if by_product.bias is not None:
            of_item = self.do(SHIFT, Value(SAMPLE, size), of_item, self.parameter(by_product.bias))
        parameters = map(self.parameter, (by_product.weight, weigh.weight, weigh.bias))
        places = -(-self.model.history_length // FEW) * FEW
        rooms = (
            self.room(SAMPLE, places * padded(size)),
            self.room(SAMPLE, places),
            self.room(USER, (padded(value.width) + 1) * padded(size)),
        )
        gives = Value(SAMPLE, value.width)
        return self.do(ATTEND, gives, item, clicks, of_item, of_click, *parameters, *rooms, self.across(clicks))

    def attend_fields(self, x: Found, fields: int, heads: int, layer: Linear, constant: Found = None) -> Number:
        (outputs, inputs), of_user = layer.weight.shape, 0 if constant is None else self.value(constant).width
        kinds = self.value(x).kind, USER if constant is None else self.value(constant).kind
        if kinds != (SAMPLE, USER) or layer.bias is not None:
            raise UnrecordableError("fields of other kinds, or a bias")
        rooms = [self.room(SAMPLE, width, across=True) for width in (fields * outputs, heads * fields * fields)]
        own = self.room(USER, (inputs + outputs) * padded(of_user // inputs))
        reads = self.across(x), x, self.parameter(layer.weight), fields, heads, *rooms, int(x in self.waiting)
        gives = Value(SAMPLE, fields * outputs // 4, across=True)
        return self.turned_back(self.do(ATTEND_FIELDS, gives, *reads, -1 if constant is None else constant, own))

    def follow_interest(
        self, item: Found, clicks: Found, history: Found, extract: GRU, attend: Linear, evolve: GRU
    ) -> Number:
        kinds, size = (self.value(item).kind, self.value(clicks).kind, history), extract.renew.weight.shape[0]
        if kinds != (SAMPLE, CLICK, _Named("history")) or {len(attend.weight), len(evolve.renew.weight)} != {size}:
            raise UnrecordableError("shapes")
        reads = self.chain(clicks, -1, [extract.read]), self.chain(item, -1, [attend])
        parameters = (
            extract.gate.weight, extract.renew.weight, evolve.read.weight, evolve.read.bias, evolve.gate.weight,
            evolve.renew.weight,
        )  # fmt: skip
        rooms = (
            self.room(SAMPLE, self.model.history_length * width_of_row(size)),
            self.room(SAMPLE, self.model.history_length * width_of_row(size)),
            self.room(SAMPLE, self.model.history_length),
            self.room(USER, room_for_weights(size)),
        )
        return self.do(FOLLOW, Value(SAMPLE, size), *reads, *map(self.parameter, parameters), *rooms)

    def layer(self, module: nn.Module, *arguments: Found) -> Number:
        """What a layer gives."""
        match module, arguments:
            case Embeddings(), [_Named(name)] if name in PLACES:
                return self.look_up(module, PLACES[name])
            case Embeddings(), [_Named("mean_click")]:
                return self.do(MEAN, Value(SAMPLE, module.width), self.look_up(module, CLICK), 0)
            case Linear(), [x] if self.value(x).kind == USER:
                return self.user_layer(module, x)
            case Linear(), [x]:
                return self.chain(x, -1, [module])
            case MLP(), [x, constant] if module.constant is not None and self.value(constant).kind == USER:
                return self.chain(x, self.user_layer(module.constant, constant), list(module.layers))
            case MLP(), [x, *_] if module.constant is None:
                return self.chain(x, -1, list(module.layers))
        raise UnrecordableError(type(module).__name__)
