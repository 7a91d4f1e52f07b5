"""Rows of tables, and what a history makes of them."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import BEGIN, FIELD, FIRST, KIND, LENGTH, OUT, START, STEP, WIDTH, A, B, Integers, Plan
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.vectors import add_row, load, spread, store, store_some


@compiled
def look_up(plan: Plan, device: Device, operation: Integers) -> None:
    """The mean of the rows that stand for the codes that are present."""
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    field, size, kind = table[FIELD], table[LENGTH], value[KIND]
    column, start = plan.fields[field, FIRST], value[START] + operation[B]
    for row in range(device.rows[kind]):
        place, to = device.at[kind, row], start + row * value[STEP]
        present = device.present[place, field]
        share = np.float32(1) / np.float32(max(present, 1))
        if size == 1:
            total = np.float32(0)
            for each in range(column, column + present):
                total += device.weights[table[BEGIN] + device.slots[place, each]]
            device.values[to] = total * share
            continue
        for j in range(0, size, PADDED):
            found = spread(np.float32(0))
            for each in range(column, column + present):
                found = found + load(device.weights, table[BEGIN] + device.slots[place, each] * size + j)
            store_some(device.values, to + j, found * spread(share), size - j)  # beside it other columns may stand


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
        present = device.present[place, field]
        share = device.scale / np.float32(max(present, 1))
        for each in range(present):
            to = table[BEGIN] + device.slots[place, column + each] * size
            add_row(device.moved, to, device.gradients, of, size, share)


@compiled
def mean(plan: Plan, device: Device, operation: Integers) -> None:
    """The mean over a history; zeros over none."""
    value, clicks, values = plan.values[operation[OUT]], plan.values[operation[A]], device.values
    start, width = value[START] + operation[B], clicks[WIDTH]
    for row in range(device.rows[value[KIND]]):
        first, stop = device.history[row, 0], device.history[row, 1]
        share = spread(np.float32(1) / np.float32(max(stop - first, 1)))
        for j in range(0, width, PADDED):
            found = spread(np.float32(0))
            for click in range(first, stop):
                found = found + load(values, clicks[START] + click * clicks[STEP] + j)
            store_some(values, start + row * value[STEP] + j, found * share, width - j)


@compiled
def mean_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Its share to each click."""
    if not device.needed[operation[A]]:  # of what stands beside it something may be
        return
    value, clicks, gradients = plan.values[operation[OUT]], plan.values[operation[A]], device.gradients
    start = value[START] + operation[B]
    for row in range(device.rows[value[KIND]]):
        first, stop = device.history[row, 0], device.history[row, 1]
        share = spread(np.float32(1) / np.float32(max(stop - first, 1)))
        for j in range(0, clicks[WIDTH], PADDED):
            gradient = share * load(gradients, start + row * value[STEP] + j)
            for click in range(first, stop):
                to = clicks[START] + click * clicks[STEP] + j
                store(gradients, to, load(gradients, to) + gradient)
