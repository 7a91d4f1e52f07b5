"""Sums with products of small matrices.

Columns come in groups of ``PADDED``: whoever asks for fewer has room for the group, and ignores what the others hold.
"""

from typing import Any

import numpy as np
from numba import types

from fedctr.fused.compiled import entry
from fedctr.fused.tiles import (
    VECTOR,
    ZERO,
    ZEROS,
    Floats,
    Matrices,
    Product,
    Sums,
    compute,
    intrinsic,
    multiplied_and_added,
    spread_over,
)


@intrinsic
def _add(
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
    rows: Any,
    columns: Any,
    inner: Any,
    scale: Any,
) -> Any:
    signature = types.void(
        total, total_at, total_step, left, left_at, left_row, left_column, right, right_at, right_step,
        rows, columns, inner, scale,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = Matrices(context, builder, signature, arguments)
        to = matrix(0, *arguments[1:3])
        scales = spread_over(builder, arguments[13], VECTOR)

        def finish(sums: Sums) -> None:
            for row, vectors in zip(sums.rows, sums.vectors, strict=True):
                for column, vector in zip(sums.columns, vectors, strict=True):
                    to.write(row, column, multiplied_and_added(builder, scales, vector, to.vector(row, column)))

        product = Product(
            matrix(3, *arguments[4:7]),
            matrix(7, *arguments[8:10]).vector,
            lambda row, column: ZEROS,
            finish,
        )
        compute(builder, product, *arguments[10:13])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _write(
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
    rows: Any,
    columns: Any,
    inner: Any,
    begins: Any,
    begins_at: Any,
    begins_step: Any,
    least: Any,
) -> Any:
    signature = types.void(
        total, total_at, total_step, left, left_at, left_row, left_column, right, right_at, right_step,
        rows, columns, inner, begins, begins_at, begins_step, least,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = Matrices(context, builder, signature, arguments)
        to, begins = matrix(0, *arguments[1:3]), matrix(13, *arguments[14:16])
        least = spread_over(builder, arguments[16], VECTOR)

        def finish(sums: Sums) -> None:
            for row, vectors in zip(sums.rows, sums.vectors, strict=True):
                for column, vector in zip(sums.columns, vectors, strict=True):
                    smaller = builder.fcmp_ordered("<", vector, least)
                    to.write(row, column, builder.select(smaller, least, vector))

        product = Product(
            matrix(3, *arguments[4:7]),
            matrix(7, *arguments[8:10]).vector,
            lambda row, column: begins.element(row, ZERO),
            finish,
        )
        compute(builder, product, *arguments[10:13])
        return context.get_dummy_value()

    return signature, generate


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
    _add(
        total, total_at, total_step, left, left_at, left_row, left_column, right, right_at, right_step,
        rows, columns, inner, scale,
    )  # fmt: skip


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
    _write(
        total, total_at, total_step, left, left_at, left_row, left_column, right, right_at, right_step,
        rows, columns, inner, begins, begins_at, begins_step, least,
    )  # fmt: skip
