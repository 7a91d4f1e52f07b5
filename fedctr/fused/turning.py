"""Matrices turned, rows becoming columns, in squares of vectors."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from fedctr.fused.compiled import entry
from fedctr.fused.tiles import FLOAT, INDEX, PADDED, Floats, intrinsic, start_of, write


def _turning(*, adding: bool) -> Callable[..., None]:
    """A function that writes a square of ``PADDED`` rows turned, rows becoming columns, or adds it to what is there."""

    @intrinsic
    def turn_square(
        typing: Any, target: Any, target_at: Any, target_step: Any, source: Any, source_at: Any, source_step: Any
    ) -> Any:
        signature = types.void(target, target_at, target_step, source, source_at, source_step)
        kind, half = ir.VectorType(FLOAT, PADDED), PADDED // 2
        lanes = ir.VectorType(ir.IntType(32), PADDED)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            target, source = (
                start_of(context, builder, signature.args[n], arguments[n], arguments[n + 1]) for n in (0, 3)
            )

            def row_at(start: Any, step: Any, row: int) -> Any:
                return builder.bitcast(builder.gep(start, [builder.mul(step, INDEX(row))]), kind.as_pointer())

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
                write(builder, found, to)
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
