"""Layers of samples that lie across, and of the user alone."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import ACROSS, BEGIN, KIND, OUT, START, STEP, STRIDE, WIDTH, A, B, C, D, E, F, Integers, Plan
from fedctr.fused.products import PADDED, add_product, turned
from fedctr.fused.state import Device


@compiled
def turn(plan: Plan, device: Device, operation: Integers) -> None:
    """Turn a matrix."""
    value, other = plan.values[operation[OUT]], plan.values[operation[A]]
    samples = device.rows[value[KIND]]
    rows, columns = (samples, value[WIDTH]) if value[ACROSS] else (value[WIDTH], samples)
    turned(device.values, value[START], value[STEP], device.values, other[START], other[STEP], rows, columns, False)


@compiled
def turn_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Turn it back."""
    value, other = plan.values[operation[OUT]], plan.values[operation[A]]
    samples = device.rows[value[KIND]]
    rows, columns = (value[WIDTH], samples) if value[ACROSS] else (samples, value[WIDTH])
    turned(
        device.gradients, other[START], other[STEP], device.gradients, value[START], value[STEP], rows, columns, True
    )


@compiled
def layer(plan: Plan, device: Device, operation: Integers) -> None:
    """``relu(W x + b + e)``."""
    value, x, weight = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[C]]
    samples, bias, added = device.rows[value[KIND]], operation[D], operation[E]
    padded = (samples + PADDED - 1) // PADDED * PADDED
    for output in range(value[WIDTH]):
        begin = np.float32(0)
        if bias >= 0:
            begin += device.weights[plan.parameters[bias, BEGIN] + output]
        if added >= 0:
            begin += device.values[plan.values[added, START] + output]
        to = value[START] + output * value[STEP]
        found = device.values[to : to + padded]
        for sample in range(padded):
            found[sample] = begin
    add_product(
        device.values, value[START], value[STEP],
        device.weights, weight[BEGIN], weight[STRIDE], 1,
        device.values, x[START], x[STEP],
        value[WIDTH], samples, x[WIDTH], np.float32(1),
    )  # fmt: skip
    if operation[F]:
        for output in range(value[WIDTH]):
            to = value[START] + output * value[STEP]
            found = device.values[to : to + padded]
            for sample in range(padded):
                found[sample] = max(found[sample], np.float32(0))


@compiled
def layer_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To what it read and what is added, then to the weight and the bias."""
    value, x, turned = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[B]]
    weight, bias, added = plan.parameters[operation[C]], operation[D], operation[E]
    samples = device.rows[value[KIND]]
    to_bias, to_added = bias >= 0 and device.trained[bias], added >= 0 and device.needed[added]
    for output in range(value[WIDTH]):
        start = value[START] + output * value[STEP]
        gradient = device.gradients[start : start + samples]
        if operation[F]:
            found = device.values[start : start + samples]
            for sample in range(samples):
                gradient[sample] = gradient[sample] if found[sample] > 0 else np.float32(0)
        if to_bias or to_added:
            total = np.float32(0)
            for sample in range(samples):
                total += gradient[sample]
            if to_bias:
                device.moved[plan.parameters[bias, BEGIN] + output] += device.scale * total
            if to_added:
                device.gradients[plan.values[added, START] + output] += total
    if device.needed[operation[A]]:
        add_product(
            device.gradients, x[START], x[STEP],
            device.weights, weight[BEGIN], 1, weight[STRIDE],
            device.gradients, value[START], value[STEP],
            x[WIDTH], samples, value[WIDTH], np.float32(1),
        )  # fmt: skip
    if device.trained[operation[C]]:
        add_product(
            device.moved, weight[BEGIN], weight[STRIDE],
            device.gradients, value[START], value[STEP], 1,
            device.values, turned[START], turned[STEP],
            value[WIDTH], x[WIDTH], samples, device.scale,
        )  # fmt: skip


@compiled
def user_layer(plan: Plan, device: Device, operation: Integers) -> None:
    """``W x + b`` of a single row."""
    value, x, weight = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[B]]
    inputs = x[WIDTH]
    vector = device.values[x[START] : x[START] + inputs]
    for output in range(value[WIDTH]):
        of = weight[BEGIN] + output * weight[STRIDE]
        row = device.weights[of : of + inputs]
        total = np.float32(0)
        for j in range(inputs):
            total += row[j] * vector[j]
        if operation[C] >= 0:
            total += device.weights[plan.parameters[operation[C], BEGIN] + output]
        device.values[value[START] + output] = total


@compiled
def user_layer_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To what it read, then to the weight and the bias."""
    value, x, weight = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[B]]
    inputs, bias = x[WIDTH], operation[C]
    vector, total = device.values[x[START] : x[START] + inputs], device.gradients[x[START] : x[START] + inputs]
    to_x, to_weight = device.needed[operation[A]], device.trained[operation[B]]
    for output in range(value[WIDTH]):
        gradient, at = device.gradients[value[START] + output], weight[BEGIN] + output * weight[STRIDE]
        if to_x:
            row = device.weights[at : at + inputs]
            for j in range(inputs):
                total[j] += gradient * row[j]
        if to_weight:
            moved, part = device.moved[at : at + inputs], device.scale * gradient
            for j in range(inputs):
                moved[j] += part * vector[j]
        if bias >= 0 and device.trained[bias]:
            device.moved[plan.parameters[bias, BEGIN] + output] += device.scale * gradient
