"""Values side by side, and sums of them."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.copying import add_row, copy_row
from fedctr.fused.plan import BEGIN, KIND, OUT, START, STEP, USER, WIDTH, A, B, C, Integers, Plan
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.vectors import load, load_some, multiply_add, spread, store, store_some, total


@compiled
def beside(plan: Plan, device: Device, operation: Integers) -> None:
    """Copy into some columns."""
    value, part = plan.values[operation[OUT]], plan.values[operation[A]]
    width, step = part[WIDTH], 0 if part[KIND] == USER else part[STEP]
    for row in range(device.rows[value[KIND]]):
        to, of = value[START] + row * value[STEP] + operation[B], part[START] + row * step
        copy_row(device.values, to, device.values, of, width)


@compiled
def beside_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Add from these columns."""
    value, part = plan.values[operation[OUT]], plan.values[operation[A]]
    width, step = part[WIDTH], 0 if part[KIND] == USER else part[STEP]
    for row in range(device.rows[value[KIND]]):
        of, to = value[START] + row * value[STEP] + operation[B], part[START] + row * step
        add_row(device.gradients, to, device.gradients, of, width, np.float32(1))


@compiled
def add(plan: Plan, device: Device, operation: Integers) -> None:
    """The sum of two values."""
    value, first, second = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[B]]
    kind = value[KIND]
    first_step = first[STEP] if first[KIND] == kind else 0
    second_step = second[STEP] if second[KIND] == kind else 0
    if first_step == 1 and second_step == 1:
        for row in range(0, device.rows[kind], PADDED):
            one, two = load(device.values, first[START] + row), load(device.values, second[START] + row)
            store(device.values, value[START] + row, one + two)
        return
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
        if step == 1:
            for row in range(0, device.rows[value[KIND]], PADDED):
                gradient = load(device.gradients, value[START] + row)
                store(device.gradients, part[START] + row, load(device.gradients, part[START] + row) + gradient)
            continue
        for row in range(device.rows[value[KIND]]):
            of, to = value[START] + row * value[STEP], part[START] + row * step
            for j in range(value[WIDTH]):
                device.gradients[to + j] += device.gradients[of + j]


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
def shift(plan: Plan, device: Device, operation: Integers) -> None:
    """Add a parameter."""
    value, x, parameter = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[B]]
    if value[STEP] == 1:
        weight = spread(device.weights[parameter[BEGIN]])
        for row in range(0, device.rows[value[KIND]], PADDED):
            store(device.values, value[START] + row, load(device.values, x[START] + row) + weight)
        return
    for row in range(device.rows[value[KIND]]):
        to, of = value[START] + row * value[STEP], x[START] + row * x[STEP]
        for j in range(0, value[WIDTH], PADDED):
            store(device.values, to + j, load(device.values, of + j) + load(device.weights, parameter[BEGIN] + j))


@compiled
def shift_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To the value, and to the parameter."""
    value, x, parameter = plan.values[operation[OUT]], plan.values[operation[A]], plan.parameters[operation[B]]
    gradients, rows, part = device.gradients, device.rows[value[KIND]], np.float32(0)
    if device.trained[operation[B]]:
        part = device.scale
    if value[STEP] == 1:
        sums = spread(np.float32(0))
        for row in range(0, rows, PADDED):
            gradient = load_some(gradients, value[START] + row, rows - row)
            store(gradients, x[START] + row, load(gradients, x[START] + row) + gradient)
            sums = sums + gradient
        device.moved[parameter[BEGIN]] += part * total(sums)
        return
    for j in range(0, value[WIDTH], PADDED):
        sums = spread(np.float32(0))
        for row in range(rows):
            gradient, to = load(gradients, value[START] + row * value[STEP] + j), x[START] + row * x[STEP] + j
            store(gradients, to, load(gradients, to) + gradient)
            sums = sums + gradient
        moved = multiply_add(spread(part), sums, load(device.moved, parameter[BEGIN] + j))
        store_some(device.moved, parameter[BEGIN] + j, moved, value[WIDTH] - j)


@compiled
def second_order(plan: Plan, device: Device, operation: Integers) -> None:
    """Half of the square of the parts' sum, which is kept as C, less their squares."""
    value, x, sums = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[C]]
    size, values = operation[B], device.values
    for row in range(device.rows[value[KIND]]):
        of, to = x[START] + row * x[STEP], sums[START] + row * sums[STEP]
        square, squares = np.float32(0), np.float32(0)
        if size % PADDED == 0:
            squared, all_squared = spread(np.float32(0)), spread(np.float32(0))
            for j in range(0, size, PADDED):
                summed = spread(np.float32(0))
                for part in range(of + j, of + x[WIDTH], size):
                    vector = load(values, part)
                    summed = summed + vector
                    all_squared = multiply_add(vector, vector, all_squared)
                store(values, to + j, summed)
                squared = multiply_add(summed, summed, squared)
            square, squares = total(squared), total(all_squared)
        else:
            for j in range(size):
                values[to + j] = 0
                for part in range(of + j, of + x[WIDTH], size):
                    values[to + j] += values[part]
                    squares += values[part] * values[part]
                square += values[to + j] * values[to + j]
        values[value[START] + row * value[STEP]] = (square - squares) / np.float32(2)


@compiled
def second_order_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To each part the sum of the others."""
    value, x, sums = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[C]]
    size, values, gradients = operation[B], device.values, device.gradients
    for row in range(device.rows[value[KIND]]):
        gradient = gradients[value[START] + row * value[STEP]]
        of, summed = x[START] + row * x[STEP], sums[START] + row * sums[STEP]
        for part in range(of, of + x[WIDTH], size):
            if size % PADDED == 0:
                for j in range(0, size, PADDED):
                    others = load(values, summed + j) - load(values, part + j)
                    store(gradients, part + j, multiply_add(spread(gradient), others, load(gradients, part + j)))
            else:
                for j in range(size):
                    gradients[part + j] += gradient * (values[summed + j] - values[part + j])
