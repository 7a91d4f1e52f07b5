"""Products of a layer's weight, a sample's item and the clicks before it, each with what is done on the way.

``W (item * click)`` is ``(W * item) click``: so the weight takes the item in while a product is computed, and the
clicks are read where they lie. Backward, products are multiplied by the item or by the click once they are computed.
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
    write,
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
                    # NaN stays NaN; a single instruction.
                    found = builder.select(builder.fcmp_ordered(">", ZEROS, vector), ZEROS, vector)
                    hidden.write(row, column, found)
                    summed = multiplied_and_added(builder, found, second.vector(ZERO, column), summed)
                products.append(summed)
            for first in range(0, len(products), FEW):  # a sum alone would take several times as long as among others
                totals = _totals(builder, products[first : first + FEW])
                address = builder.gep(weight.start, [sums.rows[first]])
                address = builder.bitcast(address, totals.type.as_pointer())
                write(builder, builder.fadd(builder.load(address, align=4), totals), address)

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
def to_weight(
    typing: Any,
    values: Any,
    gradients: Any,
    click: Any,
    click_step: Any,
    item: Any,
    hidden: Any,
    step: Any,
    summed: Any,
    clicks: Any,
    size: Any,
    width: Any,
) -> Any:
    """Add the gradient of ``W``.

    Args:
        typing: Numba's.
        values: of the device.
        gradients: of the values.
        click: first of the clicks, ``click_step`` from row to row.
        click_step: see ``click``.
        item: the item.
        hidden: in ``gradients``, that of the hidden layer of the first click, ``step`` from row to row.
        step: see ``hidden``.
        summed: in ``gradients``, where to add that of ``W``, with a row for each column of the item, ``step`` from row
            to row.
        clicks: how many.
        size: of the hidden layer.
        width: of item and click.
    """
    signature = types.void(values, gradients, click, click_step, item, hidden, step, summed, clicks, size, width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = Matrices(context, builder, signature, arguments)
        item, click = matrix(0, arguments[4], INDEX(1)), matrix(0, arguments[2], INDEX(1), arguments[3])
        hidden, summed = (matrix(1, arguments[at], arguments[6]) for at in (5, 7))

        def finish(sums: Sums) -> None:
            for row, vectors in zip(sums.rows, sums.vectors, strict=True):
                factor = item.element(row, ZERO)
                for column, vector in zip(sums.columns, vectors, strict=True):
                    summed.write(row, column, multiplied_and_added(builder, factor, vector, summed.vector(row, column)))

        # Clicks, which lie across, are the inner dimension.
        product = Product(click, hidden.vector, lambda row, column: ZEROS, finish)
        compute(builder, product, arguments[10], arguments[9], arguments[8])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def to_item_and_clicks(
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
    """Add the gradients of the item, and of the clicks: of the hidden layer, and of the sum in which each has a share.

    Args:
        typing: Numba's.
        values: of the device.
        gradients: of the values.
        weights: of the device.
        click: first of the clicks, ``click_step`` from row to row; to their gradients is added.
        click_step: see ``click``.
        item: the item; to its gradient is added.
        hidden: in ``gradients``, that of the hidden layer of the first click, ``step`` from row to row.
        step: see ``hidden``.
        weight: ``W``, in ``weights``, ``weight_step`` from row to row.
        weight_step: see ``weight``.
        share: that of the first click.
        found: in ``gradients``, that of the sum.
        clicks: how many; a multiple of ``FEW``. Of those behind the sample's own, the gradient of the hidden layer and
            the share are 0, and the click is finite.
        size: of the hidden layer.
        width: of item and click.
    """
    signature = types.void(
        values, gradients, weights, click, click_step, item, hidden, step, weight, weight_step, share, found, clicks,
        size, width,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = Matrices(context, builder, signature, arguments)
        (item, of_item), found = (matrix(array, arguments[5]) for array in (0, 1)), matrix(1, arguments[11])
        click, of_click = (matrix(array, arguments[3], arguments[4]) for array in (0, 1))
        share = matrix(0, arguments[10], INDEX(1))

        def finish(sums: Sums) -> None:
            shares = [share.element(row, ZERO) for row in sums.rows]
            for number, column in enumerate(sums.columns):
                factor, of_sum = item.vector(ZERO, column), found.vector(ZERO, column)
                to_item = of_item.vector(ZERO, column)
                for row, vectors, part in zip(sums.rows, sums.vectors, shares, strict=True):
                    gradient = vectors[number]
                    to_item = multiplied_and_added(builder, gradient, click.vector(row, column), to_item)
                    to_click = multiplied_and_added(builder, gradient, factor, of_click.vector(row, column))
                    to_click = multiplied_and_added(builder, part, of_sum, to_click)
                    of_click.write(row, column, to_click)
                of_item.write(ZERO, column, to_item)

        # What is multiplied by the item for a click's gradient, and by the click for the item's.
        product = Product(
            matrix(1, arguments[6], arguments[7]),
            matrix(2, arguments[8], arguments[9]).vector,
            lambda row, column: ZEROS,
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
