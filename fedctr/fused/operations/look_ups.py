"""Rows of tables, and what a history makes of them."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.copying import add_row
from fedctr.fused.plan import BEGIN, FIELD, FIRST, KIND, LENGTH, OUT, START, STEP, WIDTH, A, B, Integers, Plan
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.vectors import (
    HALF,
    Vector,
    load,
    load_like,
    natural,
    spread,
    spread_half,
    spread_like,
    store,
    store_some,
)


@compiled
def look_up(plan: Plan, device: Device, operation: Integers) -> None:
    """The mean of the rows that stand for the codes that are present."""
    size = plan.parameters[operation[A], LENGTH]
    if size == PADDED:
        _look_up_vectors(plan, device, operation, spread(np.float32(0)))
    elif size == HALF:
        _look_up_vectors(plan, device, operation, spread_half(np.float32(0)))
    elif size == 1:
        _look_up_numbers(plan, device, operation)
    else:
        _look_up_rows(plan, device, operation)


@compiled
def _look_up_vectors(plan: Plan, device: Device, operation: Integers, zeros: Vector) -> None:
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    kind, field, begin, size = natural(value[KIND]), natural(table[FIELD]), table[BEGIN], table[LENGTH]
    column, to, step = natural(plan.fields[field, FIRST]), value[START] + operation[B], value[STEP]
    for row in range(device.rows[kind]):
        place = natural(device.at[kind, row])
        present = device.present[place, field]
        found = zeros
        for each in range(column, column + present):
            found = found + load_like(zeros, device.weights, begin + device.slots[place, each] * size)
        if present > 1:
            found = found * spread_like(zeros, np.float32(1) / np.float32(present))
        store(device.values, to, found)
        to += step


@compiled
def _look_up_numbers(plan: Plan, device: Device, operation: Integers) -> None:
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    kind, field, begin = natural(value[KIND]), natural(table[FIELD]), table[BEGIN]
    column, to, step = natural(plan.fields[field, FIRST]), value[START] + operation[B], value[STEP]
    for row in range(device.rows[kind]):
        place = natural(device.at[kind, row])
        present = device.present[place, field]
        found = np.float32(0)
        for each in range(column, column + present):
            found += device.weights[begin + device.slots[place, each]]
        if present > 1:
            found *= np.float32(1) / np.float32(present)
        device.values[to] = found
        to += step


@compiled
def _look_up_rows(plan: Plan, device: Device, operation: Integers) -> None:
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    kind, field, begin, size = natural(value[KIND]), natural(table[FIELD]), table[BEGIN], table[LENGTH]
    column, to, step = natural(plan.fields[field, FIRST]), value[START] + operation[B], value[STEP]
    for row in range(device.rows[kind]):
        place = natural(device.at[kind, row])
        present = device.present[place, field]
        share = spread(np.float32(1) / np.float32(max(present, 1)))
        for j in range(0, size, PADDED):
            found = spread(np.float32(0))
            for each in range(column, column + present):
                found = found + load(device.weights, begin + device.slots[place, each] * size + j)
            store_some(device.values, to + j, found * share, size - j)  # beside it other columns may stand
        to += step


@compiled
def look_up_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Move the rows."""
    if not device.trained[operation[A]]:
        return
    size = plan.parameters[operation[A], LENGTH]
    if size == PADDED:
        _move_vectors(plan, device, operation, spread(np.float32(0)))
    elif size == HALF:
        _move_vectors(plan, device, operation, spread_half(np.float32(0)))
    elif size == 1:
        _move_numbers(plan, device, operation)
    else:
        _move_rows(plan, device, operation)


@compiled
def _move_vectors(plan: Plan, device: Device, operation: Integers, zeros: Vector) -> None:
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    kind, field, begin, size = natural(value[KIND]), natural(table[FIELD]), table[BEGIN], table[LENGTH]
    column, of, step = natural(plan.fields[field, FIRST]), value[START] + operation[B], value[STEP]
    for row in range(device.rows[kind]):
        place = natural(device.at[kind, row])
        present, share = device.present[place, field], device.scale
        if present > 1:
            share = device.scale / np.float32(present)
        step_of_each = spread_like(zeros, share) * load_like(zeros, device.gradients, of)
        for each in range(column, column + present):
            to = begin + device.slots[place, each] * size
            store(device.moved, to, load_like(zeros, device.moved, to) + step_of_each)
        of += step


@compiled
def _move_numbers(plan: Plan, device: Device, operation: Integers) -> None:
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    kind, field, begin = natural(value[KIND]), natural(table[FIELD]), table[BEGIN]
    column, of, step = natural(plan.fields[field, FIRST]), value[START] + operation[B], value[STEP]
    for row in range(device.rows[kind]):
        place = natural(device.at[kind, row])
        present, share = device.present[place, field], device.scale
        if present > 1:
            share = device.scale / np.float32(present)
        step_of_each = share * device.gradients[of]
        for each in range(column, column + present):
            device.moved[begin + device.slots[place, each]] += step_of_each
        of += step


@compiled
def _move_rows(plan: Plan, device: Device, operation: Integers) -> None:
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    kind, field, begin, size = natural(value[KIND]), natural(table[FIELD]), table[BEGIN], table[LENGTH]
    column, of, step = natural(plan.fields[field, FIRST]), value[START] + operation[B], value[STEP]
    for row in range(device.rows[kind]):
        place = natural(device.at[kind, row])
        present = device.present[place, field]
        share = device.scale / np.float32(max(present, 1))
        for each in range(column, column + present):
            add_row(device.moved, begin + device.slots[place, each] * size, device.gradients, of, size, share)
        of += step


@compiled
def mean(plan: Plan, device: Device, operation: Integers) -> None:
    """The mean over a history; zeros over none."""
    value, clicks, values = plan.values[operation[OUT]], plan.values[operation[A]], device.values
    start, width = value[START] + operation[B], clicks[WIDTH]
    for row in range(device.rows[value[KIND]]):
        first, stop = device.history[row, 0], device.history[row, 1]
        share, to = spread(np.float32(1) / np.float32(max(stop - first, 1))), start + row * value[STEP]
        for j in range(0, width, 2 * PADDED):
            one, two = spread(np.float32(0)), spread(np.float32(0))
            at, end = clicks[START] + first * clicks[STEP] + j, clicks[START] + stop * clicks[STEP] + j
            if width - j <= PADDED:
                while at < end:
                    one, at = one + load(values, at), at + clicks[STEP]
            else:
                while at < end:
                    one, two, at = one + load(values, at), two + load(values, at + PADDED), at + clicks[STEP]
                store_some(values, to + j + PADDED, two * share, width - j - PADDED)
            store_some(values, to + j, one * share, width - j)


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
