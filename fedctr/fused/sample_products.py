"""Products of matrices of which each sample has its own.

``PADDED`` samples lie side by side, so that every element is a vector. A tile of the product stays in registers while
a loop goes over the inner dimension; each element is a chain of fused multiply-adds in the order of the inner index,
whatever the tile.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fedctr.fused.compiled import entry
from fedctr.fused.tiles import (
    FLOAT,
    INDEX,
    PADDED,
    WIDEST,
    Floats,
    intrinsic,
    multiplied_and_added,
    repeated,
    spread_over,
    start_of,
    write,
)

# A tile's sums, and one row and one column of what is multiplied, are as many vectors as there are registers for.
ROWS, COLUMNS = (3, 4) if WIDEST else (2, 2)

_utilities: Any = cgutils  # is without types
_VECTOR = ir.VectorType(FLOAT, PADDED)


class Matrices(NamedTuple):
    """A matrix of each of ``PADDED`` samples.

    Attributes:
        values: holds them.
        at: where the vector of their first elements begins.
        row: how far it is from row to row.
        column: how far it is from column to column.
    """

    values: Floats
    at: int
    row: int
    column: int


def _tile(rows: int, columns: int) -> Callable[..., None]:
    """A function that computes so many rows and columns of the products."""

    @intrinsic
    def compute(
        typing: Any,
        total: Any,
        total_at: Any,
        total_row: Any,
        total_column: Any,
        begin: Any,
        begin_at: Any,
        begin_row: Any,
        begin_column: Any,
        left: Any,
        left_at: Any,
        left_row: Any,
        left_column: Any,
        right: Any,
        right_at: Any,
        right_row: Any,
        right_column: Any,
        inner: Any,
        least: Any,
    ) -> Any:
        signature = types.void(
            total, total_at, total_row, total_column, begin, begin_at, begin_row, begin_column,
            left, left_at, left_row, left_column, right, right_at, right_row, right_column, inner, least,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def vector_of(matrix: int, row: int, column: int, step: Any = None) -> Any:
                """Where an element is, a step further on."""
                kind, (array, at, by_row, by_column) = signature.args[matrix], arguments[matrix : matrix + 4]
                start = start_of(context, builder, kind, array, at)
                start = builder.gep(start, [builder.mul(by_row, INDEX(row))])
                start = builder.gep(start, [builder.mul(by_column, INDEX(column))])
                start = start if step is None else builder.gep(start, [step])
                return builder.bitcast(start, _VECTOR.as_pointer())

            places = [(row, column) for row in range(rows) for column in range(columns)]
            sums = {place: _utilities.alloca_once(builder, _VECTOR) for place in places}
            for place in places:
                builder.store(builder.load(vector_of(4, *place), align=4), sums[place])
            with repeated(builder, arguments[16]) as index:
                along, down = builder.mul(index, arguments[11]), builder.mul(index, arguments[14])
                across = [builder.load(vector_of(12, 0, column, down), align=4) for column in range(columns)]
                for row in range(rows):
                    factor = builder.load(vector_of(8, row, 0, along), align=4)
                    for column in range(columns):
                        known = sums[row, column]
                        found = multiplied_and_added(builder, factor, across[column], builder.load(known))
                        builder.store(found, known)
            least = spread_over(builder, arguments[17], _VECTOR)
            for place in places:
                found = builder.load(sums[place])
                found = builder.select(builder.fcmp_ordered("<", found, least), least, found)
                write(builder, found, vector_of(0, *place))
            return context.get_dummy_value()

        return signature, generate

    return compute


_many, _row, _column, _one = _tile(ROWS, COLUMNS), _tile(1, COLUMNS), _tile(ROWS, 1), _tile(1, 1)


@entry
def write_products(
    total: Matrices,
    begin: Matrices,
    left: Matrices,
    right: Matrices,
    rows: int,
    columns: int,
    inner: int,
    least: np.float32,
) -> None:
    """Write ``max(begin + left @ right, least)`` of every sample; NaN stays NaN.

    Args:
        total: gets the matrices (rows, columns).
        begin: holds matrices (rows, columns).
        left: holds the matrices (rows, inner).
        right: holds the matrices (inner, columns).
        rows: of the products.
        columns: of the products.
        inner: columns of ``left``.
        least: minus infinity for all that comes out, 0 for a ReLU.
    """
    row = 0
    while row < rows:
        many, column = row + ROWS <= rows, 0
        while column < columns:
            wide = column + COLUMNS <= columns
            to = total.at + row * total.row + column * total.column
            first = begin.at + row * begin.row + column * begin.column
            of, by = left.at + row * left.row, right.at + column * right.column
            places = (
                total.values, to, total.row, total.column, begin.values, first, begin.row, begin.column,
                left.values, of, left.row, left.column, right.values, by, right.row, right.column, inner, least,
            )  # fmt: skip
            if many and wide:
                _many(*places)
            elif many:
                _column(*places)
            elif wide:
                _row(*places)
            else:
                _one(*places)
            column += COLUMNS if wide else 1
        row += ROWS if many else 1
