"""Attention of a sample's item to each of the clicks before it.

A click weighs what a linear layer makes of ``relu(W (item * click) + of_item + of_click)``; the clicks are summed by
their weights. Those before a sample are neighbours, so products read them where they lie
(:mod:`fedctr.fused.operations.clicks`).
"""

from typing import NamedTuple

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.copying import clear_places
from fedctr.fused.operations.clicks import to_item_and_clicks, to_weight, weigh
from fedctr.fused.operations.runs import clicks_of, rounded
from fedctr.fused.plan import (
    BEGIN,
    CLICK,
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
from fedctr.fused.products import write_product
from fedctr.fused.referring import referred
from fedctr.fused.state import Device
from fedctr.fused.tiles import FEW, PADDED
from fedctr.fused.turning import turned
from fedctr.fused.vectors import load, load_some, multiply_add, spread, store, store_some, total, where_positive


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
        turned: the weight, turned so that it has a row for each column of the item.
        second: among the gradients, the sums of those of the second layer's weight.
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
    turned: int
    second: int
    found: int
    across: int
    across_step: int


@compiled
def _places(plan: Plan, operation: Integers) -> _Places:
    item, of_item = plan.values[operation[A]], plan.values[operation[C]]
    hidden, weights = plan.values[operation[H]], plan.values[operation[J]]
    room, across = plan.values[operation[K], START], plan.values[operation[L]]
    return _Places(
        item[WIDTH], item[STEP], item[START], plan.values[operation[B], START],
        of_item[WIDTH], of_item[STEP], of_item[START], plan.values[operation[D], START],
        hidden[START], hidden[STEP], weights[START], weights[STEP],
        room, room + item[STEP] * of_item[STEP], plan.values[operation[OUT], START],
        across[START], across[STEP],
    )  # fmt: skip


@compiled
def attend(plan: Plan, device: Device, operation: Integers) -> None:
    """The sums of the clicks, by their weights."""
    at, weight, values = referred(_places(plan, operation)), plan.parameters[operation[E]], device.values
    turned(values, at.turned, at.hidden_step, device.weights, weight[BEGIN], weight[STRIDE], at.size, at.width, False)
    second = plan.parameters[operation[F], BEGIN]
    bias = device.weights[plan.parameters[operation[G], BEGIN]] if operation[G] >= 0 else np.float32(0)
    for sample in range(device.rows[SAMPLE]):
        first, clicks = device.history[sample, 0], clicks_of(device, sample)
        click, weights = at.click + first * at.step, at.weights + sample * at.weights_of_sample
        for each in range(0, clicks, PADDED):
            store(values, weights + each, spread(bias))
        weigh(
            values, device.weights, click, at.step, at.item + sample * at.step, at.of_click + first * at.hidden_step,
            at.of_item + sample * at.hidden_step, at.hidden + sample * at.hidden_of_sample, at.hidden_step, at.turned,
            second, weights, rounded(clicks), at.size, at.width,
        )  # fmt: skip
        write_product(
            values, at.found + sample * at.step, at.step,
            values, weights, 0, 1,
            values, click, at.step,
            1, at.width, clicks,
            values, 0, 0, np.float32(-np.inf),
        )  # fmt: skip


@compiled
def attend_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To items and clicks, directly and through both layers, then to the parameters.

    The gradients of the parameters are summed beside them, since each sample reads them as they were.
    """
    at, weight, gradients = referred(_places(plan, operation)), plan.parameters[operation[E]], device.gradients
    # Products go over some rows more, multiplied by zeros: what another user left there may be NaN.
    clear_places(device.values, at.click + device.rows[CLICK] * at.step, (FEW - 1) * at.step)
    clear_places(gradients, at.turned, at.width * at.hidden_step)
    clear_places(gradients, at.second, at.hidden_step)
    of_bias = np.float32(0)
    for sample in range(device.rows[SAMPLE]):
        first, clicks = device.history[sample, 0], clicks_of(device, sample)
        of_bias += _weigh_backward(device, at, sample, clicks)
        _hidden_backward(plan, device, operation, at, sample, clicks)
        hidden, click = at.hidden + sample * at.hidden_of_sample, at.click + first * at.step
        item, weights = at.item + sample * at.step, at.weights + sample * at.weights_of_sample
        to_weight(
            device.values, gradients, click, at.step, item, hidden, at.hidden_step, at.turned, clicks, at.size,
            at.width,
        )  # fmt: skip
        for each in range(clicks, rounded(clicks)):  # are added to the item, and to what other samples read
            clear_places(gradients, hidden + each * at.hidden_step, at.size)
            device.values[weights + each] = 0
        to_item_and_clicks(
            device.values, gradients, device.weights, click, at.step, item, hidden, at.hidden_step, weight[BEGIN],
            weight[STRIDE], weights, at.found + sample * at.step, rounded(clicks), at.size, at.width,
        )  # fmt: skip
    _move(plan, device, operation, at, of_bias)


@compiled
def _weigh_backward(device: Device, at: _Places, sample: int, clicks: int) -> np.float32:
    """To the clicks' weights; gives the sum."""
    gradients, summed = device.gradients, np.float32(0)
    found, weights = at.found + sample * at.step, at.weights + sample * at.weights_of_sample
    for j in range(0, clicks, 2 * PADDED):
        click = at.across + device.history[sample, 0] + j
        one, two = spread(np.float32(0)), spread(np.float32(0))
        three, four = one, two  # of every other column, so that no sum waits for the one before
        for column in range(0, at.width - 1, 2):
            factor, here = spread(gradients[found + column]), click + column * at.across_step
            other, there = spread(gradients[found + column + 1]), here + at.across_step
            one = multiply_add(factor, load(device.values, here), one)
            two = multiply_add(factor, load(device.values, here + PADDED), two)
            three = multiply_add(other, load(device.values, there), three)
            four = multiply_add(other, load(device.values, there + PADDED), four)
        if at.width % 2:
            factor, here = spread(gradients[found + at.width - 1]), click + (at.width - 1) * at.across_step
            one = multiply_add(factor, load(device.values, here), one)
            two = multiply_add(factor, load(device.values, here + PADDED), two)
        one, two = one + three, two + four
        store(gradients, weights + j, one)
        summed += total(load_some(gradients, weights + j, clicks - j))
        if j + PADDED < clicks:
            store(gradients, weights + j + PADDED, two)
            summed += total(load_some(gradients, weights + j + PADDED, clicks - j - PADDED))
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
def _move(plan: Plan, device: Device, operation: Integers, at: _Places, of_bias: np.float32) -> None:
    """Move the parameters along the sums of their gradients."""
    gradients, moved, scale = device.gradients, device.moved, spread(device.scale)
    if device.trained[operation[E]]:
        weight, values = plan.parameters[operation[E]], device.values
        # Nobody needs the turned weight any more.
        turned(values, at.turned, at.step, gradients, at.turned, at.hidden_step, at.width, at.size, False)
        for row in range(at.size):
            for j in range(0, at.width, PADDED):
                to, gradient = weight[BEGIN] + row * weight[STRIDE] + j, load(values, at.turned + row * at.step + j)
                store_some(moved, to, multiply_add(scale, gradient, load(moved, to)), at.width - j)
    if device.trained[operation[F]]:
        for j in range(0, at.size, PADDED):
            to, gradient = plan.parameters[operation[F], BEGIN] + j, load(gradients, at.second + j)
            store_some(moved, to, multiply_add(scale, gradient, load(moved, to)), at.size - j)
    if operation[G] >= 0 and device.trained[operation[G]]:
        moved[plan.parameters[operation[G], BEGIN]] += device.scale * of_bias
