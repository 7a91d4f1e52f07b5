"""Products of a layer's weight, a sample's item and the clicks before it, each with what is done on the way.

``W (item * click)`` is ``(W * item) click``: so the weight takes the item in while a product is computed, and the
clicks are read where they lie.
"""

from typing import Any

from llvmlite import ir
from numba import types

from fedctr.fused.tiles import (
    FEW,
    INDEX,
    LANES,
    ZERO,
    ZEROS,
    Matrices,
    Product,
    Sums,
    compute,
    intrinsic,
    multiplied_and_added,
)


@intrinsic
def weigh(
    typing: Any,
    values: Any,
    weights: Any,
    click: Any,
    click_step: Any,
    item: Any,
    of_click: Any,
    of_item: Any,
    hidden: Any,
    step: Any,
    turned: Any,
    second: Any,
    weight: Any,
    clicks: Any,
    size: Any,
    width: Any,
) -> Any:
    """Write ``relu(W (item * click) + of_item + of_click)`` and add its product with the second layer's weight.

    Args:
        typing: Numba's.
        values: of the device.
        weights: likewise.
        click: first of the clicks, ``click_step`` from row to row.
        click_step: see ``click``.
        item: the item.
        of_click: what the first of the clicks adds, ``step`` from row to row.
        of_item: what the item adds.
        hidden: gets the hidden layer of the first click, ``step`` from row to row.
        step: see ``of_click``.
        turned: ``W``, with a row for each column of the item, ``step`` from row to row.
        second: the second layer's weight, in ``weights``.
        weight: that of the first click, to which its product is added.
        clicks: how many; a multiple of ``FEW``.
        size: of the hidden layer.
        width: of item and click.
    """
    signature = types.void(
        values, weights, click, click_step, item, of_click, of_item, hidden, step, turned, second, weight, clicks, size,
        width,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = Matrices(context, builder, signature, arguments)
        item, of_item = matrix(0, arguments[4]), matrix(0, arguments[6])
        of_click, hidden, turned = (matrix(0, arguments[n], arguments[8]) for n in (5, 7, 9))
        second, weight = matrix(1, arguments[10]), matrix(0, arguments[11])

        def finish(sums: Sums) -> None:
            products = []
            for row, vectors in zip(sums.rows, sums.vectors, strict=True):
                summed = ZEROS
                for column, vector in zip(sums.columns, vectors, strict=True):
                    # NaN stays NaN.
                    found = builder.select(builder.fcmp_unordered(">", vector, ZEROS), vector, ZEROS)
                    hidden.write(row, column, found)
                    summed = multiplied_and_added(builder, found, second.vector(ZERO, column), summed)
                products.append(summed)
            for first in range(0, len(products), FEW):  # a sum alone would take several times as long as among others
                totals = _totals(builder, products[first : first + FEW])
                address = builder.gep(weight.start, [sums.rows[first]])
                address = builder.bitcast(address, totals.type.as_pointer())
                builder.store(builder.fadd(builder.load(address, align=4), totals), address, align=4)

        product = Product(
            matrix(0, arguments[2], arguments[3]),
            lambda index, column: builder.fmul(item.element(ZERO, index), turned.vector(index, column)),
            lambda row, column: builder.fadd(of_item.vector(ZERO, column), of_click.vector(row, column)),
            finish,
        )
        compute(builder, product, *arguments[12:15])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def to_item(
    typing: Any,
    values: Any,
    gradients: Any,
    weights: Any,
    click: Any,
    click_step: Any,
    item: Any,
    hidden: Any,
    step: Any,
    weight: Any,
    weight_step: Any,
    summed: Any,
    clicks: Any,
    size: Any,
    width: Any,
) -> Any:
    """Add the gradients of ``W`` and of the item.

    Args:
        typing: Numba's.
        values: of the device.
        gradients: of the values.
        weights: of the device.
        click: first of the clicks, ``click_step`` from row to row.
        click_step: see ``click``.
        item: the item; to its gradient is added.
        hidden: in ``gradients``, that of the hidden layer of the first click, ``step`` from row to row.
        step: see ``hidden``.
        weight: ``W``, in ``weights``, ``weight_step`` from row to row.
        weight_step: see ``weight``.
        summed: in ``gradients``, where to add that of ``W``, ``click_step`` from row to row.
        clicks: how many.
        size: of the hidden layer.
        width: of item and click.
    """
    signature = types.void(
        values, gradients, weights, click, click_step, item, hidden, step, weight, weight_step, summed, clicks, size,
        width,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = Matrices(context, builder, signature, arguments)
        item, of_item = matrix(0, arguments[5]), matrix(1, arguments[5])
        click, summed = (matrix(array, arguments[at], arguments[4]) for array, at in ((0, 3), (1, 10)))
        weight = matrix(2, arguments[8], arguments[9])

        def finish(sums: Sums) -> None:
            for number, column in enumerate(sums.columns):
                factor, found = item.vector(ZERO, column), of_item.vector(ZERO, column)
                for row, vectors in zip(sums.rows, sums.vectors, strict=True):
                    gradient = vectors[number]
                    found = multiplied_and_added(builder, gradient, weight.vector(row, column), found)
                    of_weight = multiplied_and_added(builder, gradient, factor, summed.vector(row, column))
                    summed.write(row, column, of_weight)
                of_item.write(ZERO, column, found)

        # A row for each unit of the hidden layer, and clicks as inner dimension.
        hidden = matrix(1, arguments[6], INDEX(1), arguments[7])
        product = Product(hidden, click.vector, lambda row, column: ZEROS, finish)
        compute(builder, product, arguments[12], arguments[13], arguments[11])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def to_clicks(
    typing: Any,
    values: Any,
    gradients: Any,
    weights: Any,
    click: Any,
    click_step: Any,
    item: Any,
    hidden: Any,
    step: Any,
    weight: Any,
    weight_step: Any,
    share: Any,
    found: Any,
    clicks: Any,
    size: Any,
    width: Any,
) -> Any:
    """Add the gradients of the clicks: of the hidden layer, and of the sum in which each has a share.

    Args:
        typing: Numba's.
        values: of the device.
        gradients: of the values.
        weights: of the device.
        click: first of the clicks, ``click_step`` from row to row; to their gradients is added.
        click_step: see ``click``.
        item: the item.
        hidden: in ``gradients``, that of the hidden layer of the first click, ``step`` from row to row.
        step: see ``hidden``.
        weight: ``W``, in ``weights``, ``weight_step`` from row to row.
        weight_step: see ``weight``.
        share: that of the first click.
        found: in ``gradients``, that of the sum.
        clicks: how many.
        size: of the hidden layer.
        width: of item and click.
    """
    signature = types.void(
        values, gradients, weights, click, click_step, item, hidden, step, weight, weight_step, share, found, clicks,
        size, width,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = Matrices(context, builder, signature, arguments)
        item, found = matrix(0, arguments[5]), matrix(1, arguments[11])
        of_click, weight = matrix(1, arguments[3], arguments[4]), matrix(2, arguments[8], arguments[9])
        share = matrix(0, arguments[10], INDEX(1))

        def finish(sums: Sums) -> None:
            for row, vectors in zip(sums.rows, sums.vectors, strict=True):
                factor = share.element(row, ZERO)
                for column, vector in zip(sums.columns, vectors, strict=True):
                    of_click.write(
                        row, column, multiplied_and_added(builder, factor, found.vector(ZERO, column), vector)
                    )

        product = Product(
            matrix(1, arguments[6], arguments[7]),
            lambda index, column: builder.fmul(item.vector(ZERO, column), weight.vector(index, column)),
            of_click.vector,
            finish,
        )
        compute(builder, product, arguments[12], arguments[14], arguments[13])
        return context.get_dummy_value()

    return signature, generate


def _totals(builder: Any, vectors: list[Any]) -> Any:
    """The sum of each vector's elements, side by side; half of them are added to the other half, until one is left."""
    count, size = len(vectors), LANES  # sums, and elements that they have yet, side by side
    while size > 1:
        half = size // 2
        if len(vectors) > 1:  # the halves of two fill one
            low = [first + lane for first in range(0, 2 * LANES, size) for lane in range(half)]
            high = [lane + half for lane in low]
            vectors = [
                builder.fadd(_picked(builder, one, other, low), _picked(builder, one, other, high))
                for one, other in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        else:
            swapped = _picked(builder, vectors[0], vectors[0], [lane ^ half for lane in range(LANES)])
            vectors = [builder.fadd(vectors[0], swapped)]
        size = half
    return _picked(builder, vectors[0], vectors[0], list(range(0, LANES, LANES // count)))


def _picked(builder: Any, first: Any, second: Any, lanes: list[int]) -> Any:
    """The elements at some places of two vectors."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    return builder.shuffle_vector(first, second, mask)
