"""Rows of tables, and what a history makes of them."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import BEGIN, FIELD, FIRST, KIND, LENGTH, OUT, START, STEP, WIDTH, A, B, Integers, Plan
from fedctr.fused.state import Device


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
