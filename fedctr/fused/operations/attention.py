"""Attention of a sample's item to each of the clicks before it.

A click weighs what a linear layer makes of ``relu(W (item * click) + of_item + of_click)``; the clicks are summed by
their weights. Pairs of a sample and a click are many and each is small, so they are worked through in groups that stay
in the nearest cache: whole samples, one after the other, whose clicks are neighbours.
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
from fedctr.fused.products import PADDED, add_product
from fedctr.fused.state import Device
from fedctr.fused.vectors import clear_places, load, load_some, multiply_add, spread, store, total, where_positive


class _Places(NamedTuple):
    """Where an operation finds what it works on, in ``device.values``; gradients are at the same places.

    Attributes:
        width: of item and click; ``step`` of either, and of their products, from row to row.
        item: the samples' items.
        click: the clicks.
        size: width of the hidden layer; ``hidden_step`` from row to row.
        of_item: what the hidden layer gets of the item.
        of_click: what it gets of the click.
        hidden: the hidden layer, of every pair.
        weights: the pairs' weights, side by side.
        turned: the weight, turned so that it has a row for each column of the item; behind it a row for the gradient
            of the second layer's.
        products: item times click, of the pairs of a group.
        group: for how many pairs there is room.
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
    weights: int
    turned: int
    products: int
    group: int
    found: int
    across: int
    across_step: int


@compiled
def _places(plan: Plan, operation: Integers) -> _Places:
    item, of_item = plan.values[operation[A]], plan.values[operation[C]]
    room, across = plan.values[operation[K]], plan.values[operation[L]]
    turned = (item[WIDTH] + 1) * of_item[STEP]
    return _Places(
        item[WIDTH], item[STEP], item[START], plan.values[operation[B], START],
        of_item[WIDTH], of_item[STEP], of_item[START], plan.values[operation[D], START],
        plan.values[operation[H], START], plan.values[operation[J], START],
        room[START], room[START] + turned, (room[WIDTH] - turned) // item[STEP], plan.values[operation[OUT], START],
        across[START], across[STEP],
    )  # fmt: skip


@compiled
def _group(device: Device, first: int, room: int) -> tuple[int, int]:
    """The end of the samples, from the first on, that make up a group, and how many pairs it has."""
    stop, pairs = first, 0
    while stop < device.rows[SAMPLE]:
        more = device.history[stop, 1] - device.history[stop, 0]
        if pairs + more > room:
            break
        pairs += more
        stop += 1
    return stop, pairs


@compiled
def attend(plan: Plan, device: Device, operation: Integers) -> None:
    """The sums of the clicks, by their weights."""
    at, weight = _places(plan, operation), plan.parameters[operation[E]]
    for row in range(at.size):
        for column in range(at.width):
            value = device.weights[weight[BEGIN] + row * weight[STRIDE] + column]
            device.values[at.turned + column * at.hidden_step + row] = value
    sample, pair = 0, 0
    while sample < device.rows[SAMPLE]:
        stop, pairs = _group(device, sample, at.group)
        _multiply(device, at, sample, stop)
        _add_parts(device, at, sample, stop, pair)
        hidden = at.hidden + pair * at.hidden_step
        add_product(
            device.values, hidden, at.hidden_step,
            device.values, at.products, at.step, 1,
            device.values, at.turned, at.hidden_step,
            pairs, at.size, at.width, np.float32(1),
        )  # fmt: skip
        _weigh(plan, device, operation, at, pair, pairs)
        for row in range(sample, stop):
            first, clicks, found = device.history[row, 0], _clicks(device, row), at.found + row * at.step
            clear_places(device.values, found, at.width)
            add_product(
                device.values, found, at.step,
                device.values, at.weights + pair, 0, 1,
                device.values, at.click + first * at.step, at.step,
                1, at.width, clicks, np.float32(1),
            )  # fmt: skip
            pair += clicks
        sample = stop


@compiled
def _clicks(device: Device, sample: int) -> int:
    return int(device.history[sample, 1] - device.history[sample, 0])


@compiled
def _first(device: Device, sample: int, start: int, step: int) -> int:
    """Where the first of a sample's clicks is, among rows that begin at a place."""
    return int(start + device.history[sample, 0] * step)


@compiled
def _multiply(device: Device, at: _Places, sample: int, stop: int) -> None:
    """Item times click, for the pairs of a group."""
    values, here = device.values, at.products
    for row in range(sample, stop):
        clicks = _clicks(device, row)
        for j in range(0, at.width, PADDED):
            item, click, to = (
                load(values, at.item + row * at.step + j),
                _first(device, row, at.click + j, at.step),
                here + j,
            )
            for _ in range(clicks):
                store(values, to, item * load(values, click))
                click, to = click + at.step, to + at.step
        here += clicks * at.step


@compiled
def _add_parts(device: Device, at: _Places, sample: int, stop: int, pair: int) -> None:
    """What the hidden layer gets of item and click alone."""
    values, step, here = device.values, at.hidden_step, at.hidden + pair * at.hidden_step
    for row in range(sample, stop):
        clicks = _clicks(device, row)
        for j in range(0, at.size, PADDED):
            item, click, to = (
                load(values, at.of_item + row * step + j),
                _first(device, row, at.of_click + j, step),
                here + j,
            )
            for _ in range(clicks):
                store(values, to, item + load(values, click))
                click, to = click + step, to + step
        here += clicks * step


@compiled
def _weigh(plan: Plan, device: Device, operation: Integers, at: _Places, pair: int, pairs: int) -> None:
    """ReLU, then the second layer."""
    values, begin = device.values, plan.parameters[operation[F], BEGIN]
    bias = device.weights[plan.parameters[operation[G], BEGIN]] if operation[G] >= 0 else np.float32(0)
    for each in range(pair, pair + pairs):
        hidden, sums = at.hidden + each * at.hidden_step, spread(np.float32(0))
        for j in range(0, at.size, PADDED):
            vector = load(values, hidden + j)
            vector = where_positive(vector, vector)
            store(values, hidden + j, vector)
            sums = multiply_add(vector, load_some(device.weights, begin + j, at.size - j), sums)
        values[at.weights + each] = total(sums) + bias


@compiled
def attend_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To items and clicks, directly and through both layers, then to the parameters.

    The gradients of the parameters are summed beside them, since each group reads them as they were.
    """
    at, weight = _places(plan, operation), plan.parameters[operation[E]]
    clear_places(device.gradients, at.turned, (at.width + 1) * at.hidden_step)
    sample, pair, of_bias = 0, 0, np.float32(0)
    while sample < device.rows[SAMPLE]:
        stop, pairs = _group(device, sample, at.group)
        _multiply(device, at, sample, stop)
        of_bias += _weigh_backward(device, at, sample, stop)
        _hidden_backward(plan, device, operation, at, sample, stop, pair)
        clear_places(device.gradients, at.products, pairs * at.step)
        add_product(
            device.gradients, at.products, at.step,
            device.gradients, at.hidden, at.hidden_step, 1,
            device.weights, weight[BEGIN], weight[STRIDE],
            pairs, at.width, at.size, np.float32(1),
        )  # fmt: skip
        if device.trained[operation[E]]:
            add_product(
                device.gradients, at.turned, at.hidden_step,
                device.values, at.products, 1, at.step,
                device.gradients, at.hidden, at.hidden_step,
                at.width, at.size, pairs, np.float32(1),
            )  # fmt: skip
        _multiply_backward(device, at, sample, stop, pair)
        sample, pair = stop, pair + pairs
    _move(plan, device, operation, at, of_bias)


@compiled
def _weigh_backward(device: Device, at: _Places, sample: int, stop: int) -> np.float32:
    """To the pairs' weights; gives the sum."""
    here, summed = at.weights, np.float32(0)
    for row in range(sample, stop):
        clicks = _clicks(device, row)
        clear_places(device.gradients, here, clicks)
        add_product(
            device.gradients, here, 0,
            device.gradients, at.found + row * at.step, 0, 1,
            device.values, _first(device, row, at.across, 1), at.across_step,
            1, clicks, at.width, np.float32(1),
        )  # fmt: skip
        for j in range(0, clicks, PADDED):
            summed += total(load_some(device.gradients, here + j, clicks - j))
        here += clicks
    return summed


@compiled
def _hidden_backward(
    plan: Plan, device: Device, operation: Integers, at: _Places, sample: int, stop: int, pair: int
) -> None:
    """To the hidden layer, to what it gets of item and click, and to the second layer's weight."""
    values, gradients, begin = device.values, device.gradients, plan.parameters[operation[F], BEGIN]
    of_weight, here = at.turned + at.width * at.hidden_step, 0
    for row in range(sample, stop):
        clicks, item = _clicks(device, row), at.of_item + row * at.hidden_step
        for j in range(0, at.size, PADDED):
            weight = load(device.weights, begin + j)
            to_item, to_weight = load(gradients, item + j), load(gradients, of_weight + j)
            click = at.of_click + device.history[row, 0] * at.hidden_step + j
            for each in range(clicks):
                hidden = load(values, at.hidden + (pair + each) * at.hidden_step + j)
                gradient = spread(gradients[at.weights + here + each])
                to_weight = multiply_add(gradient, hidden, to_weight)
                gradient = where_positive(hidden, gradient * weight)
                store(gradients, at.hidden + (here + each) * at.hidden_step + j, gradient)
                to_item = to_item + gradient
                store(gradients, click, load(gradients, click) + gradient)
                click += at.hidden_step
            store(gradients, item + j, to_item)
            store(gradients, of_weight + j, to_weight)
        pair, here = pair + clicks, here + clicks


@compiled
def _multiply_backward(device: Device, at: _Places, sample: int, stop: int, pair: int) -> None:
    """To item and click, of their products and of the weighted sum."""
    values, gradients, here = device.values, device.gradients, 0
    for row in range(sample, stop):
        clicks, item, found = _clicks(device, row), at.item + row * at.step, at.found + row * at.step
        for j in range(0, at.width, PADDED):
            factor, of_found = load(values, item + j), load(gradients, found + j)
            to_item = load(gradients, item + j)
            click = at.click + device.history[row, 0] * at.step + j
            for each in range(clicks):
                gradient = load(gradients, at.products + (here + each) * at.step + j)
                to_item = multiply_add(gradient, load(values, click), to_item)
                to_click = multiply_add(gradient, factor, load(gradients, click))
                weight = spread(values[at.weights + pair + each])
                store(gradients, click, multiply_add(weight, of_found, to_click))
                click += at.step
            store(gradients, item + j, to_item)
        pair, here = pair + clicks, here + clicks


@compiled
def _move(plan: Plan, device: Device, operation: Integers, at: _Places, of_bias: np.float32) -> None:
    """Move the parameters along the sums of their gradients."""
    if device.trained[operation[E]]:
        weight = plan.parameters[operation[E]]
        for row in range(at.size):
            for column in range(at.width):
                gradient = device.gradients[at.turned + column * at.hidden_step + row]
                device.moved[weight[BEGIN] + row * weight[STRIDE] + column] += device.scale * gradient
    if device.trained[operation[F]]:
        begin, of = plan.parameters[operation[F], BEGIN], at.turned + at.width * at.hidden_step
        for j in range(at.size):
            device.moved[begin + j] += device.scale * device.gradients[of + j]
    if operation[G] >= 0 and device.trained[operation[G]]:
        device.moved[plan.parameters[operation[G], BEGIN]] += device.scale * of_bias
