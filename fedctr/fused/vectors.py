"""Vectors of ``PADDED`` floats, which compiled functions keep in registers.

LLVM turns loops into vector instructions where it sees that they are long and that arrays do not overlap. Of short
rows that lie in one array it sees neither, so there the vectors are spelt out. Rows have room for whole vectors; what
lies behind their last column is anything, so a sum over columns begins with :func:`load_some`.
"""

import operator
from collections.abc import Callable
from typing import Any

import numba.extending
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.datamodel import models

from fedctr.fused.compiled import compiled
from fedctr.fused.tiles import PADDED, Floats, intrinsic, multiplied_and_added, spread_over, start_of

_KIND = ir.VectorType(ir.FloatType(), PADDED)
_NUMBERS = ir.VectorType(ir.IntType(32), PADDED)


class _Vector(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Vector")


@numba.extending.register_model(_Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _KIND)  # type: ignore[no-untyped-call]


# So large that a float has no digits behind the point: what is added is rounded. 127 stands for the exponent 0.
SHIFT = np.float32(1.5 * 2**23 + 127)

_VECTOR: Any = _Vector()
Vector = Any  # what Python sees of it


def _address(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    return builder.bitcast(start_of(context, builder, kind, array, offset), _KIND.as_pointer())


def _first(builder: Any, count: Any) -> Any:
    """True in so many places, from the first on."""
    number = spread_over(builder, builder.trunc(count, ir.IntType(32)), _NUMBERS)
    return builder.icmp_signed("<", _NUMBERS(list(range(PADDED))), number)


@intrinsic
def load(typing: Any, array: Any, at: Any) -> Any:
    """The vector that begins at an element of an array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature.args[0], *arguments), align=4)

    return _VECTOR(array, at), generate


@intrinsic
def load_some(typing: Any, array: Any, at: Any, count: Any) -> Any:
    """The same of the first ``count`` elements alone, zeros behind them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments[:2])
        found = builder.load(address, align=4)
        return builder.select(_first(builder, arguments[2]), found, _KIND([0.0] * PADDED))

    return _VECTOR(array, at, types.int64), generate


@intrinsic
def store(typing: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector to where it shall begin."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, signature.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, at, vector), generate


@intrinsic
def store_some(typing: Any, array: Any, at: Any, vector: Any, count: Any) -> Any:
    """The same with the first ``count`` elements alone; what stands behind them remains, and must exist."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments[:2])
        known = builder.load(address, align=4)
        builder.store(builder.select(_first(builder, arguments[3]), arguments[2], known), address, align=4)
        return context.get_dummy_value()

    return types.void(array, at, vector, types.int64), generate


@intrinsic
def spread(typing: Any, value: Any) -> Any:
    """The same number in every place."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return spread_over(builder, arguments[0], _KIND)

    return _VECTOR(types.float32), generate


@intrinsic
def multiply_add(typing: Any, first: Any, second: Any, added: Any) -> Any:
    """``first * second + added``, rounded once where the processor can."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return multiplied_and_added(builder, *arguments)

    return _VECTOR(first, second, added), generate


@intrinsic
def where_positive(typing: Any, sign: Any, vector: Any) -> Any:
    """The vector where ``sign`` is positive or NaN, zeros elsewhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        positive = builder.fcmp_unordered(">", arguments[0], _KIND([0.0] * PADDED))
        return builder.select(positive, arguments[1], _KIND([0.0] * PADDED))

    return _VECTOR(sign, vector), generate


@intrinsic
def larger(typing: Any, first: Any, second: Any) -> Any:
    """The larger of two numbers in every place; NaN where the first one is."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second = arguments
        return builder.select(builder.fcmp_ordered(">", second, first), second, first)  # a single instruction

    return _VECTOR(first, second), generate


@intrinsic
def power_of_two(typing: Any, shifted: Any) -> Any:
    """2 to the power of whole numbers from -126 to 127, to each of which ``SHIFT`` was added."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # The last binary digits are the exponent of the float that is wanted.
        digits = builder.bitcast(arguments[0], _NUMBERS)
        return builder.bitcast(builder.shl(digits, _NUMBERS([23] * PADDED)), _KIND)

    return _VECTOR(shifted), generate


@intrinsic
def total(typing: Any, vector: Any) -> Any:
    """The sum of a vector's elements: half of them added to the other half, until one is left."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (found,), half = arguments, PADDED // 2
        while half:
            mask = ir.Constant(_NUMBERS, [(lane + half) % PADDED for lane in range(PADDED)])
            found = builder.fadd(found, builder.shuffle_vector(found, _KIND(ir.Undefined), mask))
            half //= 2
        return builder.extract_element(found, ir.IntType(32)(0))

    return types.float32(vector), generate


def _operator(name: str) -> Callable[[Any, Any], Any]:
    """Two vectors' sum or product, to Numba: an implementation where both are vectors."""

    @intrinsic
    def both(typing: Any, first: Any, second: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(*arguments)

        return _VECTOR(first, second), generate

    def implementation(first: Any, second: Any) -> Any:
        return both(first, second)

    def chosen(first: Any, second: Any) -> Any:
        return implementation if isinstance(first, _Vector) and isinstance(second, _Vector) else None

    return chosen


numba.extending.overload(operator.add)(_operator("fadd"))
numba.extending.overload(operator.sub)(_operator("fsub"))
numba.extending.overload(operator.mul)(_operator("fmul"))
numba.extending.overload(operator.truediv)(_operator("fdiv"))


@compiled
def clear_places(target: Floats, at: int, count: int) -> None:
    """Write zeros to so many places, in whole vectors."""
    for j in range(0, count, PADDED):
        store(target, at + j, spread(np.float32(0)))


@compiled
def copy_row(target: Floats, to: int, source: Floats, of: int, size: int) -> None:
    """Write a row; beside it other columns may stand."""
    if size == 1:
        target[to] = source[of]
        return
    whole = size // PADDED * PADDED
    for j in range(0, whole, PADDED):
        store(target, to + j, load(source, of + j))
    if whole < size:
        store_some(target, to + whole, load(source, of + whole), size - whole)


@compiled
def add_row(target: Floats, to: int, source: Floats, of: int, size: int, share: np.float32) -> None:
    """Add a share of a row, likewise."""
    if size == 1:
        target[to] += share * source[of]
        return
    whole = size // PADDED * PADDED
    for j in range(0, whole, PADDED):
        store(target, to + j, multiply_add(spread(share), load(source, of + j), load(target, to + j)))
    if whole < size:
        some = multiply_add(spread(share), load(source, of + whole), load(target, to + whole))
        store_some(target, to + whole, some, size - whole)
