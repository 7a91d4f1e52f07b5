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
FLOAT, INDEX = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(FLOAT, LANES)


def padded(size: int) -> int:
    """The next multiple of ``PADDED``."""
    return -(-size // PADDED) * PADDED


def start_of(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """The address of an element of an array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


def spread_over(builder: Any, value: Any, kind: Any) -> Any:
    """A vector with the same number in every place."""
    one = builder.insert_element(kind(ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, kind(ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)(None))


def called(builder: Any, name: str, kind: Any, *arguments: Any) -> Any:
    """What a function of LLVM's gives."""
    function = ir.FunctionType(kind, [argument.type for argument in arguments])
    return builder.call(_utilities.get_or_insert_function(builder.module, function, name), arguments)


def multiplied_and_added(builder: Any, first: Any, second: Any, third: Any) -> Any:
    """``first * second + third`` of vectors, rounded once where the processor can."""
    return called(builder, f"llvm.fmuladd.v{first.type.count}f32", first.type, first, second, third)


def _tiles(
    context: Any,
    builder: Any,
    rows: int,
    kinds: Any,
    arguments: Any,
    begin: Callable[[int], Any],
    finish: Callable[[Any, Any], Any],
) -> Any:
    """Compute so many rows of a product, tile by tile.

    Args:
        context: Numba's.
        builder: LLVM's.
        rows: of the product, known to the compiler.
        kinds: of the arguments.
        arguments: as :func:`add_product` has them, from ``total`` to ``right_step``, then ``columns`` and ``inner``.
        begin: gives the vector that the sums of a row begin with.
        finish: gives what is written, of the address and the sums.
    """
    total, left, right = (start_of(context, builder, kinds[n], arguments[n], arguments[n + 1]) for n in (0, 3, 7))
    total_step, left_row, left_column = arguments[2], arguments[5], arguments[6]
    right_step, columns, inner = arguments[9:12]

    def vector_at(start: Any, row: Any, step: Any, column: Any) -> Any:
        offset = builder.add(builder.mul(row, step), column)
        return builder.bitcast(builder.gep(start, [offset]), _VECTOR.as_pointer())

    def unrelated(address: Any) -> Any:
        """The same address, of which LLVM does not know where it comes from.

        It would have every row's address wait for that of the row before, twelve times for each vector.
        """
        kind = ir.FunctionType(address.type, [address.type])
        return builder.asm(kind, "", "=r,0", [address], False)

    lefts = [unrelated(builder.gep(left, [builder.mul(left_row, INDEX(row))])) for row in range(0, rows, CHAINED)]

    def add_tile(first: Any, vectors: int) -> None:
        starts = [builder.add(first, INDEX(vector * LANES)) for vector in range(vectors)]
        places = [(row, vector) for row in range(rows) for vector in range(vectors)]
        sums = {place: _utilities.alloca_once(builder, _VECTOR) for place in places}
        for row in range(rows):
            found = begin(row)
            for vector in range(vectors):
                builder.store(found, sums[row, vector])
        with _utilities.for_range(builder, inner) as loop:
            across = [builder.load(vector_at(right, loop.index, right_step, start), align=4) for start in starts]
            column = builder.mul(loop.index, left_column)
            for row in range(rows):
                offset = builder.add(column, builder.mul(left_row, INDEX(row % CHAINED)))
                factor = spread_over(builder, builder.load(builder.gep(lefts[row // CHAINED], [offset])), _VECTOR)
                for vector in range(vectors):
                    known = sums[row, vector]
                    builder.store(multiplied_and_added(builder, factor, across[vector], builder.load(known)), known)
        for row, vector in places:
            target = vector_at(total, INDEX(row), total_step, starts[vector])
            builder.store(finish(target, builder.load(sums[row, vector])), target, align=4)

    pair = INDEX(2 * LANES)
    pairs = builder.sdiv(columns, pair)
    with _utilities.for_range(builder, pairs) as loop:
        add_tile(builder.mul(loop.index, pair), 2)
    rest = builder.mul(pairs, pair)
    with builder.if_then(builder.icmp_signed("<", rest, columns)):
        add_tile(rest, 1)
    return context.get_dummy_value()


def _adding(rows: int) -> Callable[..., None]:
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
            scales = spread_over(builder, arguments[12], _VECTOR)

            def finish(target: Any, sums: Any) -> Any:
                return multiplied_and_added(builder, scales, sums, builder.load(target, align=4))

            def begin(row: int) -> Any:
                return _VECTOR([0.0] * LANES)

            return _tiles(context, builder, rows, signature.args, arguments, begin, finish)

        return signature, generate

    return add_strip


def _writing(rows: int) -> Callable[..., None]:
    """A function that writes ``max(begin + left @ right, least)`` to so many rows."""

    @numba.extending.intrinsic
    def write_strip(
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
        begins: Any,
        begins_at: Any,
        begins_step: Any,
        least: Any,
    ) -> Any:
        signature = types.void(
            total, total_at, total_step, left, left_at, left_row, left_column,
            right, right_at, right_step, columns, inner, begins, begins_at, begins_step, least,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            first = start_of(context, builder, signature.args[12], arguments[12], arguments[13])
            step, least = arguments[14], spread_over(builder, arguments[15], _VECTOR)

            def begin(row: int) -> Any:
                return spread_over(builder, builder.load(builder.gep(first, [builder.mul(step, INDEX(row))])), _VECTOR)

            def finish(target: Any, sums: Any) -> Any:
                return builder.select(builder.fcmp_ordered("<", sums, least), least, sums)

            return _tiles(context, builder, rows, signature.args, arguments, begin, finish)

        return signature, generate

    return write_strip


_add_many, _add_few, _add_one = _adding(ROWS), _adding(FEW), _adding(1)
_write_many, _write_few, _write_one = _writing(ROWS), _writing(FEW), _writing(1)


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
            _add_many(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner, scale
            )
            row += ROWS
        elif row + FEW <= rows:
            _add_few(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner, scale
            )
            row += FEW
        else:
            _add_one(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner, scale
            )
            row += 1


@entry
def write_product(
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
    begins: Floats,
    begins_at: int,
    begins_step: int,
    least: np.float32,
) -> None:
    """Write ``max(begins + left @ right, least)``, whatever was there.

    Args:
        total: gets the matrix (rows, columns).
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
        begins: holds a number for each row.
        begins_at: where they begin.
        begins_step: how far they are from row to row; 0 if all rows begin with the same.
        least: minus infinity for all that comes out, 0 for a ReLU; NaN stays NaN.
    """
    wide, row = (columns + PADDED - 1) // PADDED * PADDED, 0
    while row < rows:
        to, of, begin = total_at + row * total_step, left_at + row * left_row, begins_at + row * begins_step
        if row + ROWS <= rows:
            _write_many(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner,
                begins, begin, begins_step, least,
            )  # fmt: skip
            row += ROWS
        elif row + FEW <= rows:
            _write_few(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner,
                begins, begin, begins_step, least,
            )  # fmt: skip
            row += FEW
        else:
            _write_one(
                total, to, total_step, left, of, left_row, left_column, right, right_at, right_step, wide, inner,
                begins, begin, begins_step, least,
            )  # fmt: skip
            row += 1
