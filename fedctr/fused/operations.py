"""What the operations of a plan do, forward and backward.

Backward, an operation adds to the gradients of what it read, which begin at zero, and moves the parameters that it
read: the gradient times ``device.scale`` is added to ``device.moved``, which may be the weights themselves. Each
parameter is read by one operation or is a table, whose old values backward does not need.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import (
    ACROSS,
    BEGIN,
    FIELD,
    FIRST,
    KIND,
    LENGTH,
    OUT,
    START,
    STEP,
    STRIDE,
    USER,
    WIDTH,
    A,
    B,
    C,
    D,
    E,
    F,
    Integers,
    Plan,
)
from fedctr.fused.products import PADDED, Floats, add_product, turned

Numbers = npt.NDArray[np.int32]


class Device(NamedTuple):
    """A device in the midst of a step.

    Attributes:
        weights: float32 (weights,), its private copies.
        moved: float32 (weights,), what backward adds to.
        scale: times which factor.
        trained: bool (parameters,), which of them are moved.
        needed: bool (values,), whose gradient is needed.
        values: float32 (size,), of the plan's values, from where each begins.
        gradients: float32 (size,), likewise.
        slots: int32 (places, columns), which row of its tables the codes of each of its samples are.
        present: int32 (places, fields), how many codes of each field are there; they come first.
        at: int64 (3, n), the places of what there is a row for.
        history: int64 (n, 2), first and last but one of the clicks before each sample, among the rows for clicks.
        rows: int64 (3,), how many rows there are for each kind.
    """

    weights: Floats
    moved: Floats
    scale: np.float32
    trained: npt.NDArray[np.bool_]
    needed: npt.NDArray[np.bool_]
    values: Floats
    gradients: Floats
    slots: Numbers
    present: Numbers
    at: Integers
    history: Integers
    rows: Integers


@compiled
def look_up(plan: Plan, device: Device, operation: Integers) -> None:
    """The mean of the rows that stand for the codes that are present."""
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    field, size, kind = table[FIELD], table[LENGTH], value[KIND]
    column, start = plan.fields[field, FIRST], value[START] + operation[B]
    for row in range(device.rows[kind]):
        place, to = device.at[kind, row], start + row * value[STEP]
        found, present = device.values[to : to + size], device.present[place, field]
        if present == 0:
            for j in range(size):
                found[j] = 0
            continue
        of = table[BEGIN] + device.slots[place, column] * size
        vector = device.weights[of : of + size]
        for j in range(size):
            found[j] = vector[j]
        if present > 1:
            for more in range(1, present):
                of = table[BEGIN] + device.slots[place, column + more] * size
                vector = device.weights[of : of + size]
                for j in range(size):
                    found[j] += vector[j]
            share = np.float32(1) / np.float32(present)
            for j in range(size):
                found[j] *= share


@compiled
def look_up_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Move the rows."""
    if not device.trained[operation[A]]:
        return
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    field, size, kind = table[FIELD], table[LENGTH], value[KIND]
    column, start = plan.fields[field, FIRST], value[START] + operation[B]
    for row in range(device.rows[kind]):
        place, of = device.at[kind, row], start + row * value[STEP]
        gradient, present = device.gradients[of : of + size], device.present[place, field]
        share = device.scale if present == 1 else device.scale / np.float32(max(present, 1))
        for each in range(present):
            to = table[BEGIN] + device.slots[place, column + each] * size
            moved = device.moved[to : to + size]
            for j in range(size):
                moved[j] += share * gradient[j]


@compiled
def mean(plan: Plan, device: Device, operation: Integers) -> None:
    """The mean over a history; zeros over none."""
    value, clicks = plan.values[operation[OUT]], plan.values[operation[A]]
    width = value[WIDTH]
    for row in range(device.rows[value[KIND]]):
        to = value[START] + row * value[STEP]
        found = device.values[to : to + width]
        for j in range(width):
            found[j] = 0
        first, stop = device.history[row, 0], device.history[row, 1]
        for click in range(first, stop):
            of = clicks[START] + click * clicks[STEP]
            vector = device.values[of : of + width]
            for j in range(width):
                found[j] += vector[j]
        share = np.float32(1) / np.float32(max(stop - first, 1))
        for j in range(width):
            found[j] *= share


@compiled
def mean_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Its share to each click."""
    value, clicks = plan.values[operation[OUT]], plan.values[operation[A]]
    width = value[WIDTH]
    for row in range(device.rows[value[KIND]]):
        of = value[START] + row * value[STEP]
        gradient = device.gradients[of : of + width]
        first, stop = device.history[row, 0], device.history[row, 1]
        share = np.float32(1) / np.float32(max(stop - first, 1))
        for click in range(first, stop):
            to = clicks[START] + click * clicks[STEP]
            total = device.gradients[to : to + width]
            for j in range(width):
                total[j] += share * gradient[j]


@compiled
def beside(plan: Plan, device: Device, operation: Integers) -> None:
    """Copy into some columns."""
    value, part = plan.values[operation[OUT]], plan.values[operation[A]]
    width, step = part[WIDTH], 0 if part[KIND] == USER else part[STEP]
    for row in range(device.rows[value[KIND]]):
        to, of = value[START] + row * value[STEP] + operation[B], part[START] + row * step
        found, vector = device.values[to : to + width], device.values[of : of + width]
        for j in range(width):
            found[j] = vector[j]


@compiled
def beside_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Add from these columns."""
    value, part = plan.values[operation[OUT]], plan.values[operation[A]]
    width, step = part[WIDTH], 0 if part[KIND] == USER else part[STEP]
    for row in range(device.rows[value[KIND]]):
        of, to = value[START] + row * value[STEP] + operation[B], part[START] + row * step
        total, gradient = device.gradients[to : to + width], device.gradients[of : of + width]
        for j in range(width):
            total[j] += gradient[j]


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


@compiled
def add_up(plan: Plan, device: Device, operation: Integers) -> None:
    """The sum of the columns."""
    value, x = plan.values[operation[OUT]], plan.values[operation[A]]
    for row in range(device.rows[value[KIND]]):
        of = x[START] + row * x[STEP]
        total = np.float32(0)
        for j in range(x[WIDTH]):
            total += device.values[of + j]
        device.values[value[START] + row * value[STEP]] = total


@compiled
def add_up_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """The same to all columns."""
    value, x = plan.values[operation[OUT]], plan.values[operation[A]]
    for row in range(device.rows[value[KIND]]):
        gradient, to = device.gradients[value[START] + row * value[STEP]], x[START] + row * x[STEP]
        for j in range(x[WIDTH]):
            device.gradients[to + j] += gradient


@compiled
def add(plan: Plan, device: Device, operation: Integers) -> None:
    """The sum of two values."""
    value, first, second = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[B]]
    kind = value[KIND]
    first_step = first[STEP] if first[KIND] == kind else 0
    second_step = second[STEP] if second[KIND] == kind else 0
    for row in range(device.rows[kind]):
        to, one, two = (
            value[START] + row * value[STEP],
            first[START] + row * first_step,
            second[START] + row * second_step,
        )
        for j in range(value[WIDTH]):
            device.values[to + j] = device.values[one + j] + device.values[two + j]


@compiled
def add_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To both."""
    value = plan.values[operation[OUT]]
    for which in (A, B):
        part = plan.values[operation[which]]
        step = part[STEP] if part[KIND] == value[KIND] else 0
        for row in range(device.rows[value[KIND]]):
            of, to = value[START] + row * value[STEP], part[START] + row * step
            for j in range(value[WIDTH]):
                device.gradients[to + j] += device.gradients[of + j]


@compiled
def shift(plan: Plan, device: Device, operation: Integers) -> None:
    """Add a parameter."""
    value, x, parameter = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[B]]
    for row in range(device.rows[value[KIND]]):
        to, of = value[START] + row * value[STEP], x[START] + row * x[STEP]
        for j in range(value[WIDTH]):
            device.values[to + j] = device.values[of + j] + device.weights[parameter[BEGIN] + j]


@compiled
def shift_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To the value, and to the parameter."""
    value, x, parameter = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[B]]
    part = device.scale if device.trained[operation[B]] else np.float32(0)
    for row in range(device.rows[value[KIND]]):
        of, to = value[START] + row * value[STEP], x[START] + row * x[STEP]
        for j in range(value[WIDTH]):
            device.gradients[to + j] += device.gradients[of + j]
            device.moved[parameter[BEGIN] + j] += part * device.gradients[of + j]


@compiled
def second_order(plan: Plan, device: Device, operation: Integers) -> None:
    """Half of the square of the parts' sum, which is kept as C, less their squares."""
    value, x, sums = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[C]]
    size = operation[B]
    for row in range(device.rows[value[KIND]]):
        of, to = x[START] + row * x[STEP], sums[START] + row * sums[STEP]
        total = device.values[to : to + size]
        for j in range(size):
            total[j] = 0
        squares = np.float32(0)
        for part in range(of, of + x[WIDTH], size):
            vector = device.values[part : part + size]
            for j in range(size):
                total[j] += vector[j]
                squares += vector[j] * vector[j]
        square = np.float32(0)
        for j in range(size):
            square += total[j] * total[j]
        device.values[value[START] + row * value[STEP]] = (square - squares) / np.float32(2)


@compiled
def second_order_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To each part the sum of the others."""
    value, x, sums = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[C]]
    size = operation[B]
    for row in range(device.rows[value[KIND]]):
        gradient, summed = device.gradients[value[START] + row * value[STEP]], sums[START] + row * sums[STEP]
        total = device.values[summed : summed + size]
        of = x[START] + row * x[STEP]
        for part in range(of, of + x[WIDTH], size):
            vector, to = device.values[part : part + size], device.gradients[part : part + size]
            for j in range(size):
                to[j] += gradient * (total[j] - vector[j])
