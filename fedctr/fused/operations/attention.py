"""Attention of a sample's item to each of the clicks before it.

A click weighs what a linear layer makes of ``relu(W (item * click) + of_item + of_click)``; the clicks are summed by
their weights. The clicks of a sample are neighbours, and the item is the same for all of them: so ``W`` times the item
is made once for each sample, and what is left are products with the clicks as they lie.
"""

from typing import NamedTuple

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import (
    BEGIN,
    OUT,
    SAMPLE,
    START,
    STEP,
    STRIDE,
    WIDTH,
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    Integers,
    J,
    K,
    L,
    Plan,
)
from fedctr.fused.products import FEW, PADDED, add_product, write_product
from fedctr.fused.state import Device
from fedctr.fused.turning import turned
from fedctr.fused.vectors import (
    clear_places,
    load,
    load_some,
    multiply_add,
    spread,
    store,
    store_some,
    total,
    where_positive,
)


class _Places(NamedTuple):
    """Where an operation finds what it works on, in ``device.values``; gradients are at the same places.

    Attributes:
        width: of item and click; ``step`` of either from row to row.
        item: the samples' items.
        click: the clicks.
        size: width of the hidden layer; ``hidden_step`` from row to row.
        of_item: what the hidden layer gets of the item.
        of_click: what it gets of the click.
        hidden: the hidden layer, a row for each click of each sample; ``hidden_of_sample`` from sample to sample.
        weights: the clicks' weights, likewise.
        weights_of_sample: from sample to sample.
        room: a matrix; in the values the weight, turned so that it has a row for each column of the item; in the
            gradients the sums of its gradients.
        other: a matrix: in the values the weight times the item, in the gradients that of one sample.
        second: in the gradients, a row for the sums of those of the second layer's weight.
        found: the weighted sums.
        across: the clicks, which lie across; ``across_step`` from row to row.
    """

    width: int
    step: int
    item: int
    click: int
    size: int
    hidden_step: int
    of_item: int
    of_click: int
    hidden: int
    hidden_of_sample: int
    weights: int
    weights_of_sample: int
    room: int
    other: int
    second: int
    found: int
    across: int
    across_step: int


@compiled
def _places(plan: Plan, operation: Integers) -> _Places:
    item, of_item = plan.values[operation[A]], plan.values[operation[C]]
    hidden, weights = plan.values[operation[H]], plan.values[operation[J]]
    room, across = plan.values[operation[K], START], plan.values[operation[L]]
    matrix = item[STEP] * of_item[STEP]
    return _Places(
        item[WIDTH], item[STEP], item[START], plan.values[operation[B], START],
        of_item[WIDTH], of_item[STEP], of_item[START], plan.values[operation[D], START],
        hidden[START], hidden[STEP], weights[START], weights[STEP],
        room, room + matrix, room + 2 * matrix, plan.values[operation[OUT], START],
        across[START], across[STEP],
    )  # fmt: skip


@compiled
def attend(plan: Plan, device: Device, operation: Integers) -> None:
    """The sums of the clicks, by their weights."""
    at, weight, values = _places(plan, operation), plan.parameters[operation[E]], device.values
    turned(values, at.room, at.hidden_step, device.weights, weight[BEGIN], weight[STRIDE], at.size, at.width, False)
    for sample in range(device.rows[SAMPLE]):
        first, clicks = device.history[sample, 0], _clicks(device, sample)
        click, hidden = at.click + first * at.step, at.hidden + sample * at.hidden_of_sample
        for j in range(0, at.size, PADDED):
            of_item = load(values, at.of_item + sample * at.hidden_step + j)
            for each in range(clicks):
                of_click = load(values, at.of_click + (first + each) * at.hidden_step + j)
                store(values, hidden + each * at.hidden_step + j, of_item + of_click)
            for column in range(at.width):
                factor, row = spread(values[at.item + sample * at.step + column]), column * at.hidden_step + j
                store(values, at.other + row, factor * load(values, at.room + row))
        add_product(
            values, hidden, at.hidden_step,
            values, click, at.step, 1,
            values, at.other, at.hidden_step,
            _whole(clicks), at.size, at.width, np.float32(1),
        )  # fmt: skip
        _weigh(plan, device, operation, at, sample, clicks)
        write_product(
            values, at.found + sample * at.step, at.step,
            values, at.weights + sample * at.weights_of_sample, 0, 1,
            values, click, at.step,
            1, at.width, clicks,
            values, 0, 0, np.float32(-np.inf),
        )  # fmt: skip


@compiled
def _clicks(device: Device, sample: int) -> int:
    return int(device.history[sample, 1] - device.history[sample, 0])


@compiled
def _whole(rows: int) -> int:
    """Up to so many rows, of a product of which the last ones do not count; fewer at a time take as long."""
    return (rows + FEW - 1) // FEW * FEW


@compiled
def _weigh(plan: Plan, device: Device, operation: Integers, at: _Places, sample: int, clicks: int) -> None:
    """ReLU, then the second layer."""
    values, begin = device.values, plan.parameters[operation[F], BEGIN]
    bias = device.weights[plan.parameters[operation[G], BEGIN]] if operation[G] >= 0 else np.float32(0)
    for each in range(clicks):
        hidden, sums = at.hidden + sample * at.hidden_of_sample + each * at.hidden_step, spread(np.float32(0))
        for j in range(0, at.size, PADDED):
            vector = load(values, hidden + j)
            vector = where_positive(vector, vector)
            store(values, hidden + j, vector)
            sums = multiply_add(vector, load_some(device.weights, begin + j, at.size - j), sums)
        values[at.weights + sample * at.weights_of_sample + each] = total(sums) + bias


@compiled
def attend_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To items and clicks, directly and through both layers, then to the parameters.

    The gradients of the parameters are summed beside them, since each sample reads them as they were.
    """
    at, weight, gradients = _places(plan, operation), plan.parameters[operation[E]], device.gradients
    clear_places(gradients, at.room, at.size * at.step)
    clear_places(gradients, at.second, at.hidden_step)
    of_bias = np.float32(0)
    for sample in range(device.rows[SAMPLE]):
        first, clicks = device.history[sample, 0], _clicks(device, sample)
        of_bias += _weigh_backward(device, at, sample, clicks)
        _hidden_backward(plan, device, operation, at, sample, clicks)
        hidden, click = at.hidden + sample * at.hidden_of_sample, at.click + first * at.step
        write_product(
            gradients, at.other, at.step,
            gradients, hidden, 1, at.hidden_step,
            device.values, click, at.step,
            at.size, at.width, clicks,
            device.values, 0, 0, np.float32(-np.inf),
        )  # fmt: skip
        _item_backward(device, at, weight, sample)
        add_product(
            gradients, click, at.step,
            gradients, hidden, at.hidden_step, 1,
            device.values, at.other, at.step,
            clicks, at.width, at.size, np.float32(1),
        )  # fmt: skip
        add_product(
            gradients, click, at.step,
            device.values, at.weights + sample * at.weights_of_sample, 1, 0,
            gradients, at.found + sample * at.step, at.step,
            clicks, at.width, 1, np.float32(1),
        )  # fmt: skip
    _move(plan, device, operation, at, of_bias)


@compiled
def _weigh_backward(device: Device, at: _Places, sample: int, clicks: int) -> np.float32:
    """To the clicks' weights; gives the sum."""
    gradients, summed = device.gradients, np.float32(0)
    found, weights = at.found + sample * at.step, at.weights + sample * at.weights_of_sample
    for j in range(0, clicks, PADDED):
        click, sums = at.across + device.history[sample, 0] + j, spread(np.float32(0))
        for column in range(at.width):
            factor = spread(gradients[found + column])
            sums = multiply_add(factor, load(device.values, click + column * at.across_step), sums)
        store(gradients, weights + j, sums)
        summed += total(load_some(gradients, weights + j, clicks - j))
    return summed


@compiled
def _hidden_backward(plan: Plan, device: Device, operation: Integers, at: _Places, sample: int, clicks: int) -> None:
    """To the hidden layer, to what it gets of item and click, and to the second layer's weight."""
    values, gradients, begin = device.values, device.gradients, plan.parameters[operation[F], BEGIN]
    item, weights = at.of_item + sample * at.hidden_step, at.weights + sample * at.weights_of_sample
    for j in range(0, at.size, PADDED):
        weight = load(device.weights, begin + j)
        to_item, to_weight = load(gradients, item + j), load(gradients, at.second + j)
        click = at.of_click + device.history[sample, 0] * at.hidden_step + j
        hidden = at.hidden + sample * at.hidden_of_sample + j
        for each in range(clicks):
            vector, gradient = load(values, hidden), spread(gradients[weights + each])
            to_weight = multiply_add(gradient, vector, to_weight)
            gradient = where_positive(vector, gradient * weight)
            store(gradients, hidden, gradient)
            to_item = to_item + gradient
            store(gradients, click, load(gradients, click) + gradient)
            click, hidden = click + at.hidden_step, hidden + at.hidden_step
        store(gradients, item + j, to_item)
        store(gradients, at.second + j, to_weight)


@compiled
def _item_backward(device: Device, at: _Places, weight: Integers, sample: int) -> None:
    """To the item and the weight, of their product; and the product itself."""
    values, gradients = device.values, device.gradients
    for j in range(0, at.width, PADDED):
        item = load(values, at.item + sample * at.step + j)
        to_item = load(gradients, at.item + sample * at.step + j)
        for row in range(at.size):
            here = row * at.step + j
            gradient, factor = (
                load(gradients, at.other + here),
                load(device.weights, weight[BEGIN] + row * weight[STRIDE] + j),
            )
            to_item = multiply_add(gradient, factor, to_item)
            store(gradients, at.room + here, multiply_add(gradient, item, load(gradients, at.room + here)))
            store(values, at.other + here, factor * item)
        store(gradients, at.item + sample * at.step + j, to_item)


@compiled
def _move(plan: Plan, device: Device, operation: Integers, at: _Places, of_bias: np.float32) -> None:
    """Move the parameters along the sums of their gradients."""
    gradients, moved, scale = device.gradients, device.moved, spread(device.scale)
    if device.trained[operation[E]]:
        weight = plan.parameters[operation[E]]
        for row in range(at.size):
            for j in range(0, at.width, PADDED):
                to, gradient = weight[BEGIN] + row * weight[STRIDE] + j, load(gradients, at.room + row * at.step + j)
                store_some(moved, to, multiply_add(scale, gradient, load(moved, to)), at.width - j)
    if device.trained[operation[F]]:
        for j in range(0, at.size, PADDED):
            to, gradient = plan.parameters[operation[F], BEGIN] + j, load(gradients, at.second + j)
            store_some(moved, to, multiply_add(scale, gradient, load(moved, to)), at.size - j)
    if operation[G] >= 0 and device.trained[operation[G]]:
        moved[plan.parameters[operation[G], BEGIN]] += device.scale * of_bias
