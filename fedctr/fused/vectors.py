"""Vectors of ``PADDED`` floats, which compiled functions keep in registers.

LLVM turns loops into vector instructions where it sees that they are long and that arrays do not overlap. Of short
rows that lie in one array it sees neither, so there the vectors are spelt out. Rows have room for whole vectors; what
lies behind their last column is anything, so a sum over columns begins with :func:`load_some`. Where a row ends in the
middle of a vector, half a vector is read and written: what is written in part, by a mask, must be in memory before it
can be read again.
"""

import operator
from collections.abc import Callable
from typing import Any

import numba.extending
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.datamodel import models

from fedctr.fused.compiled import compiled_into
from fedctr.fused.tiles import PADDED, Floats, intrinsic, multiplied_and_added, spread_over, start_of, write

HALF = PADDED // 2  # many an embedding has so many columns

_KIND = ir.VectorType(ir.FloatType(), PADDED)
_NUMBERS = ir.VectorType(ir.IntType(32), PADDED)


class _Vector(types.Type):
    def __init__(self, count: int) -> None:
        super().__init__(name=f"Vector({count})")
        self.count = count


@numba.extending.register_model(_Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.FloatType(), kind.count))  # type: ignore[no-untyped-call]


# So large that a float has no digits behind the point: what is added is rounded. 127 stands for the exponent 0.
SHIFT = np.float32(1.5 * 2**23 + 127)

_VECTOR: Any = _Vector(PADDED)
_HALF: Any = _Vector(HALF)
Vector = Any  # what Python sees of it


def _address(context: Any, builder: Any, kind: Any, array: Any, offset: Any, *, count: int = PADDED) -> Any:
    vector = ir.VectorType(ir.FloatType(), count)
    return builder.bitcast(start_of(context, builder, kind, array, offset), vector.as_pointer())


def _first(builder: Any, count: Any, places: int) -> Any:
    """True in so many of the places, from the first on."""
    numbers = ir.VectorType(ir.IntType(32), places)
    number = spread_over(builder, builder.trunc(count, ir.IntType(32)), numbers)
    return builder.icmp_signed("<", numbers(list(range(places))), number)


def _read(context: Any, builder: Any, vector: Any, kind: Any, array: Any, at: Any, count: Any = None) -> Any:
    """A vector of an array; with zeros behind ``count`` elements."""
    found = builder.load(_address(context, builder, kind, array, at, count=vector.count), align=4)
    if count is None:
        return found
    return builder.select(_first(builder, count, vector.count), found, found.type([0.0] * vector.count))


def _loading(vector: Any) -> Callable[..., Vector]:
    @intrinsic
    def load(typing: Any, array: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _read(context, builder, vector, signature.args[0], *arguments)

        return vector(array, at), generate

    return load


# The vector that begins at an element of an array.
load, load_half = _loading(_VECTOR), _loading(_HALF)


@intrinsic
def load_like(typing: Any, vector: Any, array: Any, at: Any) -> Any:
    """The same of the size of another vector."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _read(context, builder, vector, signature.args[1], *arguments[1:])

    return vector(vector, array, at), generate


@intrinsic
def load_some(typing: Any, array: Any, at: Any, count: Any) -> Any:
    """The vector of the first ``count`` elements alone, zeros behind them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _read(context, builder, _VECTOR, signature.args[0], *arguments)

    return _VECTOR(array, at, types.int64), generate


@intrinsic
def load_some_like(typing: Any, vector: Any, array: Any, at: Any, count: Any) -> Any:
    """The same of the size of another vector."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _read(context, builder, vector, signature.args[1], *arguments[1:])

    return vector(vector, array, at, types.int64), generate


@intrinsic
def store(typing: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector, or half of one, to where it shall begin."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments[:2], count=vector.count)
        write(builder, arguments[2], address)
        return context.get_dummy_value()

    return types.void(array, at, vector), generate


@intrinsic
def _store_some(typing: Any, array: Any, at: Any, vector: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments[:2])
        known = builder.load(address, align=4)
        write(builder, builder.select(_first(builder, arguments[3], PADDED), arguments[2], known), address)
        return context.get_dummy_value()

    return types.void(array, at, vector, types.int64), generate


@intrinsic
def _first_half(typing: Any, vector: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), HALF), list(range(HALF)))
        return builder.shuffle_vector(arguments[0], _KIND(ir.Undefined), mask)

    return _HALF(vector), generate


@compiled_into
def store_some(array: Floats, at: int, vector: Vector, count: int) -> None:
    """Write the first ``count`` elements of a vector, or all; what stands behind them remains, and must exist."""
    if count >= PADDED:
        store(array, at, vector)
    elif count == HALF:
        store(array, at, _first_half(vector))
    else:
        _store_some(array, at, vector, count)


def _spreading(vector: Any) -> Callable[..., Vector]:
    @intrinsic
    def spread(typing: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return spread_over(builder, arguments[0], ir.VectorType(ir.FloatType(), vector.count))

        return vector(types.float32), generate

    return spread


# The same number in every place.
spread, spread_half = _spreading(_VECTOR), _spreading(_HALF)


@intrinsic
def spread_like(typing: Any, vector: Any, value: Any) -> Any:
    """The same number in every place of a vector of the size of another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return spread_over(builder, arguments[1], arguments[0].type)

    return vector(vector, types.float32), generate


@intrinsic
def multiply_add(typing: Any, first: Any, second: Any, added: Any) -> Any:
    """``first * second + added``, rounded once where the processor can."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return multiplied_and_added(builder, *arguments)

    return first(first, second, added), generate


@intrinsic
def natural(typing: Any, number: Any) -> Any:
    """The same number, of which LLVM is told that it is not negative: an index that need not be counted from behind."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.assume(builder.icmp_signed(">=", arguments[0], arguments[0].type(0)))
        return arguments[0]

    return number(number), generate


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
        (found,), half = arguments, vector.count // 2
        while half:
            places = [(lane + half) % vector.count for lane in range(vector.count)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), places)
            found = builder.fadd(found, builder.shuffle_vector(found, found.type(ir.Undefined), mask))
            half //= 2
        return builder.extract_element(found, ir.IntType(32)(0))

    return types.float32(vector), generate


def _operator(name: str) -> Callable[[Any, Any], Any]:
    """Two vectors' sum or product, to Numba: an implementation where both are vectors of one size."""

    @intrinsic
    def both(typing: Any, first: Any, second: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(*arguments)

        return first(first, second), generate

    def implementation(first: Any, second: Any) -> Any:
        return both(first, second)

    def chosen(first: Any, second: Any) -> Any:
        return implementation if isinstance(first, _Vector) and first == second else None

    return chosen


numba.extending.overload(operator.add)(_operator("fadd"))
numba.extending.overload(operator.sub)(_operator("fsub"))
numba.extending.overload(operator.mul)(_operator("fmul"))
numba.extending.overload(operator.truediv)(_operator("fdiv"))
