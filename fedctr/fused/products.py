"""Products of small matrices.

A tile of the product stays in vector registers while a loop goes over the inner dimension. Each element is a chain of
fused multiply-adds in the order of the inner index, whatever the tile, so it has the same bits in a product of any
number of rows and columns.

Columns come in groups of ``PADDED``: whoever asks for fewer has room for the group, and ignores what the others hold.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fedctr.fused.compiled import entry

Floats = npt.NDArray[np.float32]

PADDED = 16  # floats in 64 bytes, the widest vector
WIDEST = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
LANES = 16 if WIDEST else 8
# Rows of a tile: with two vectors to a row, as many sums as there are registers for; and for what is left over.
ROWS, FEW = (12, 4) if WIDEST else (4, 2)
CHAINED = 3  # rows of it whose addresses may be made one from the other

_utilities: Any = cgutils  # is without types
_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def padded(size: int) -> int:
    """The next multiple of ``PADDED``."""
    return -(-size // PADDED) * PADDED


def _start(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """The address of an element of an array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


def _strip(rows: int) -> Callable[..., None]:
    """A function that adds ``scale * left @ right`` to so many rows."""

    @numba.extending.intrinsic
    def add_strip(
        typing: Any,
        total: Any,
        total_at: Any,
        total_step: Any,
        left: Any,
        left_at: Any,
        left_row: Any,
        left_column: Any,
        right: Any,
        right_at: Any,
        right_step: Any,
        columns: Any,
        inner: Any,
        scale: Any,
    ) -> Any:
        signature = types.void(
            total, total_at, total_step, left, left_at, left_row, left_column,
            right, right_at, right_step, columns, inner, scale,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            total, left, right = (
                _start(context, builder, signature.args[n], arguments[n], arguments[n + 1]) for n in (0, 3, 7)
            )
            total_step, left_row, left_column = arguments[2], arguments[5], arguments[6]
            right_step, columns, inner, scale = arguments[9:]

            def vector_at(start: Any, row: Any, step: Any, column: Any) -> Any:
                offset = builder.add(builder.mul(row, step), column)
                return builder.bitcast(builder.gep(start, [offset]), _VECTOR.as_pointer())

            def spread(value: Any) -> Any:
                one = builder.insert_element(_VECTOR(ir.Undefined), value, ir.IntType(32)(0))
                return builder.shuffle_vector(one, _VECTOR(ir.Undefined), ir.VectorType(ir.IntType(32), LANES)(None))

            def multiply_add(first: Any, second: Any, third: Any) -> Any:
                kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
                function = _utilities.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
                return builder.call(function, [first, second, third])

            def unrelated(address: Any) -> Any:
                """The same address, of which LLVM does not know where it comes from.

                It would have every row's address wait for that of the row before, twelve times for each vector.
                """
                kind = ir.FunctionType(address.type, [address.type])
                return builder.asm(kind, "", "=r,0", [address], False)

            starts_of_rows = [
                unrelated(builder.gep(left, [builder.mul(left_row, _INDEX(row))])) for row in range(0, rows, CHAINED)
            ]

            def add_tile(first: Any, vectors: int) -> None:
                starts = [builder.add(first, _INDEX(vector * LANES)) for vector in range(vectors)]
                places = [(row, vector) for row in range(rows) for vector in range(vectors)]
                sums = {place: _utilities.alloca_once_value(builder, _VECTOR([0.0] * LANES)) for place in places}
                with _utilities.for_range(builder, inner) as loop:
                    across = [
                        builder.load(vector_at(right, loop.index, right_step, start), align=4) for start in starts
                    ]
                    column = builder.mul(loop.index, left_column)
                    for row in range(rows):
                        offset = builder.add(column, builder.mul(left_row, _INDEX(row % CHAINED)))
                        factor = spread(builder.load(builder.gep(starts_of_rows[row // CHAINED], [offset])))
                        for vector in range(vectors):
                            known = sums[row, vector]
                            builder.store(multiply_add(factor, across[vector], builder.load(known)), known)
                scales = spread(scale)
                for row, vector in places:
                    target = vector_at(total, _INDEX(row), total_step, starts[vector])
                    found = multiply_add(scales, builder.load(sums[row, vector]), builder.load(target, align=4))
                    builder.store(found, target, align=4)

            pair = _INDEX(2 * LANES)
            pairs = builder.sdiv(columns, pair)
            with _utilities.for_range(builder, pairs) as loop:
                add_tile(builder.mul(loop.index, pair), 2)
            rest = builder.mul(pairs, pair)
            with builder.if_then(builder.icmp_signed("<", rest, columns)):
                add_tile(rest, 1)
            return context.get_dummy_value()

        return signature, generate

    return add_strip


_many_rows, _few_rows, _one_row = _strip(ROWS), _strip(FEW), _strip(1)


@entry
def add_product(
    total: Floats,
    total_at: int,
    total_step: int,
    left: Floats,
    left_at: int,
    left_row: int,
    left_column: int,
    right: Floats,
    right_at: int,
    right_step: int,
    rows: int,
    columns: int,
    inner: int,
    scale: np.float32,
) -> None:
    """Add ``scale * left @ right`` to a matrix.

    Args:
        total: holds the matrix (rows, columns).
        total_at: where it begins.
        total_step: how far it is from row to row.
        left: holds the matrix (rows, inner).
        left_at: where it begins.
        left_row: how far it is from row to row.
        left_column: how far it is from column to column.
        right: holds the matrix (inner, columns).
        right_at: where it begins.
        right_step: how far it is from row to row.
        rows: of the product.
        columns: of the product; there is room for them up to the next multiple of ``PADDED``.
        inner: columns of ``left``.
        scale: the factor.
    """
    wide, row = (columns + PADDED - 1) // PADDED * PADDED, 0
    while row < rows:
        to, of = total_at + row * total_step, left_at + row * left_row
        if row + ROWS <= rows:
            _many_rows(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner, scale
            )
            row += ROWS
        elif row + FEW <= rows:
            _few_rows(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner, scale
            )
            row += FEW
        else:
            _one_row(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner, scale
            )
            row += 1


def _turning(*, adding: bool) -> Callable[..., None]:
    """A function that writes a square of ``PADDED`` rows turned, rows becoming columns, or adds it to what is there."""

    @numba.extending.intrinsic
    def turn_square(
        typing: Any, target: Any, target_at: Any, target_step: Any, source: Any, source_at: Any, source_step: Any
    ) -> Any:
        signature = types.void(target, target_at, target_step, source, source_at, source_step)
        kind, half = ir.VectorType(_FLOAT, PADDED), PADDED // 2
        lanes = ir.VectorType(ir.IntType(32), PADDED)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            target, source = (
                _start(context, builder, signature.args[n], arguments[n], arguments[n + 1]) for n in (0, 3)
            )

            def row_at(start: Any, step: Any, row: int) -> Any:
                return builder.bitcast(builder.gep(start, [builder.mul(step, _INDEX(row))]), kind.as_pointer())

            rows = [builder.load(row_at(source, arguments[5], row), align=4) for row in range(PADDED)]
            # Interleaving each row with the one half of the rows behind it turns the square after log2(PADDED) times.
            masks = [
                ir.Constant(lanes, [first + lane // 2 + PADDED * (lane % 2) for lane in range(PADDED)])
                for first in (0, half)
            ]
            for _ in range(PADDED.bit_length() - 1):
                rows = [
                    builder.shuffle_vector(rows[row // 2], rows[row // 2 + half], masks[row % 2])
                    for row in range(PADDED)
                ]
            for row in range(PADDED):
                to = row_at(target, arguments[2], row)
                found = builder.fadd(rows[row], builder.load(to, align=4)) if adding else rows[row]
                builder.store(found, to, align=4)
            return context.get_dummy_value()

        return signature, generate

    return turn_square


_turn, _add_turned = _turning(adding=False), _turning(adding=True)


@entry
def turned(
    target: Floats,
    target_at: int,
    target_step: int,
    source: Floats,
    source_at: int,
    source_step: int,
    rows: int,
    columns: int,
    adding: bool,
) -> None:
    """Write a matrix (rows, columns) as one of (columns, rows), or add it to one.

    Both have room for rows and columns up to the next multiple of ``PADDED``.

    Args:
        target: gets the turned matrix.
        target_at: where it begins.
        target_step: how far it is from row to row.
        source: holds the matrix.
        source_at: where it begins.
        source_step: how far it is from row to row.
        rows: of the source.
        columns: of the source.
        adding: whether to add.
    """
    for row in range(0, rows, PADDED):
        for column in range(0, columns, PADDED):
            to, of = target_at + column * target_step + row, source_at + row * source_step + column
            if adding:
                _add_turned(target, to, target_step, source, of, source_step)
            else:
                _turn(target, to, target_step, source, of, source_step)
