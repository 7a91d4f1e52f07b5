"""Layers of samples that lie across, and of the user alone."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import (
    ACROSS,
    BEGIN,
    KIND,
    OUT,
    START,
    STEP,
    STRIDE,
    WIDTH,
    WRITTEN,
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    Integers,
    Plan,
)
from fedctr.fused.products import add_product, write_product
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.turning import turned
from fedctr.fused.vectors import load, load_some, multiply_add, spread, store, total, where_positive


@compiled
def turn(plan: Plan, device: Device, operation: Integers) -> None:
    """Turn a matrix; if it has a single column, it need not be turned."""
    value, other = plan.values[operation[OUT]], plan.values[operation[A]]
    samples = device.rows[value[KIND]]
    if value[STEP] == 1:
        for row in range(0, samples, PADDED):
            store(device.values, value[START] + row, load(device.values, other[START] + row))
        return
    rows, columns = (samples, value[WIDTH]) if value[ACROSS] else (value[WIDTH], samples)
    turned(device.values, value[START], value[STEP], device.values, other[START], other[STEP], rows, columns, False)


@compiled
def turn_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Turn it back."""
    value, other = plan.values[operation[OUT]], plan.values[operation[A]]
    samples = device.rows[value[KIND]]
    if value[STEP] == 1:
        for row in range(0, samples, PADDED):
            gradient = load(device.gradients, value[START] + row)
            if not other[WRITTEN]:
                gradient = gradient + load(device.gradients, other[START] + row)
            store(device.gradients, other[START] + row, gradient)
        return
    rows, columns = (value[WIDTH], samples) if value[ACROSS] else (samples, value[WIDTH])
    turned(
        device.gradients, other[START], other[STEP], device.gradients, value[START], value[STEP], rows, columns,
        not other[WRITTEN],
    )  # fmt: skip


@compiled
def layer(plan: Plan, device: Device, operation: Integers) -> None:
    """``relu(W x + b + e)``; where the gradient will be, what is added waits."""
    value, x, weight = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[C]]
    bias, added = operation[D], operation[E]
    for output in range(0, value[WIDTH], PADDED):
        begin = spread(np.float32(0))
        if bias >= 0:
            begin = begin + load(device.weights, plan.parameters[bias, BEGIN] + output)
        if added >= 0:
            begin = begin + load(device.values, plan.values[added, START] + output)
        store(device.gradients, value[START] + output, begin)
    write_product(
        device.values, value[START], value[STEP],
        device.weights, weight[BEGIN], weight[STRIDE], 1,
        device.values, x[START], x[STEP],
        value[WIDTH], device.rows[value[KIND]], x[WIDTH],
        device.gradients, value[START], 1, np.float32(0) if operation[F] else np.float32(-np.inf),
    )  # fmt: skip


@compiled
def layer_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To what it read and what is added, then to the weight and the bias."""
    value, x, samples_first = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[B]]
    weight, bias, added = plan.parameters[operation[C]], operation[D], operation[E]
    samples = device.rows[value[KIND]]
    to_bias, to_added = bias >= 0 and device.trained[bias], added >= 0 and device.needed[added]
    for output in range(value[WIDTH]):
        start, sums = value[START] + output * value[STEP], spread(np.float32(0))
        for sample in range(0, samples, PADDED):
            gradient = load_some(device.gradients, start + sample, samples - sample)
            if operation[F]:
                gradient = where_positive(load(device.values, start + sample), gradient)
                store(device.gradients, start + sample, gradient)
            sums = sums + gradient
        if to_bias or to_added:
            summed = total(sums)
            if to_bias:
                device.moved[plan.parameters[bias, BEGIN] + output] += device.scale * summed
            if to_added:
                device.gradients[plan.values[added, START] + output] += summed
    if device.needed[operation[A]] and not x[WRITTEN]:
        add_product(
            device.gradients, x[START], x[STEP],
            device.weights, weight[BEGIN], 1, weight[STRIDE],
            device.gradients, value[START], value[STEP],
            x[WIDTH], samples, value[WIDTH], np.float32(1),
        )  # fmt: skip
    elif device.needed[operation[A]]:
        write_product(
            device.gradients, x[START], x[STEP],
            device.weights, weight[BEGIN], 1, weight[STRIDE],
            device.gradients, value[START], value[STEP],
            x[WIDTH], samples, value[WIDTH],
            device.values, 0, 0, np.float32(-np.inf),
        )  # fmt: skip
    if device.trained[operation[C]]:
        if operation[G]:
            turned(
                device.values, samples_first[START], samples_first[STEP],
                device.values, x[START], x[STEP], x[WIDTH], samples, False,
            )  # fmt: skip
        add_product(
            device.moved, weight[BEGIN], weight[STRIDE],
            device.gradients, value[START], value[STEP], 1,
            device.values, samples_first[START], samples_first[STEP],
            value[WIDTH], x[WIDTH], samples, device.scale,
        )  # fmt: skip


@compiled
def user_layer(plan: Plan, device: Device, operation: Integers) -> None:
    """``W x + b`` of a single row; the weight lies turned."""
    value, x, weight = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[B]]
    for output in range(0, value[WIDTH], PADDED):
        begin = spread(np.float32(0))
        if operation[C] >= 0:
            begin = load(device.weights, plan.parameters[operation[C], BEGIN] + output)
        store(device.values, value[START] + output, begin)
    add_product(
        device.values, value[START], value[STEP],
        device.values, x[START], x[STEP], 1,
        device.weights, weight[BEGIN], weight[STRIDE],
        1, value[WIDTH], x[WIDTH], np.float32(1),
    )  # fmt: skip


@compiled
def user_layer_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To what it read, then to the weight and the bias."""
    value, x, weight = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[B]]
    outputs, bias, to_weight = value[WIDTH], operation[C], device.trained[operation[B]]
    for j in range(x[WIDTH]):
        row, sums = weight[BEGIN] + j * weight[STRIDE], spread(np.float32(0))
        share = spread(device.scale * device.values[x[START] + j])
        for output in range(0, outputs, PADDED):
            gradient = load_some(device.gradients, value[START] + output, outputs - output)
            sums = multiply_add(load(device.weights, row + output), gradient, sums)
            if to_weight:
                moved = load(device.moved, row + output)
                store(device.moved, row + output, multiply_add(share, gradient, moved))
        device.gradients[x[START] + j] += total(sums)
    if bias >= 0 and device.trained[bias]:
        for output in range(outputs):
            gradient_of_one = device.gradients[value[START] + output]
            device.moved[plan.parameters[bias, BEGIN] + output] += device.scale * gradient_of_one
