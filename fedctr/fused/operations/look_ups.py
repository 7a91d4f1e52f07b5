"""Rows of tables, and what a history makes of them."""

from typing import NamedTuple

import numpy as np

from fedctr.fused.compiled import compiled, compiled_into
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


class _Table(NamedTuple):
    """What is looked up.

    Attributes:
        kind: of what there is a row for.
        field: whose codes.
        column: the first one among the slots of a place.
        begin: where the table begins in a device's weights.
        size: of its rows.
        at: where the first row goes among the values; ``step`` from row to row.
        step: see ``at``.
    """

    kind: int
    field: int
    column: int
    begin: int
    size: int
    at: int
    step: int


@compiled_into
def _table(plan: Plan, operation: Integers) -> _Table:
    value, table = plan.values[operation[OUT]], plan.parameters[operation[A]]
    field = natural(table[FIELD])
    return _Table(
        natural(value[KIND]), field, natural(plan.fields[field, FIRST]), table[BEGIN], table[LENGTH],
        value[START] + operation[B], value[STEP],
    )  # fmt: skip


@compiled_into
def _share(whole: np.float32, parts: int) -> np.float32:
    return whole / np.float32(parts) if parts > 1 else whole


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
    table = _table(plan, operation)
    to = table.at
    for row in range(device.rows[table.kind]):
        place = natural(device.at[table.kind, row])
        present = device.present[place, table.field]
        found = zeros
        for each in range(table.column, table.column + present):
            found = found + load_like(zeros, device.weights, table.begin + device.slots[place, each] * table.size)
        store(device.values, to, found * spread_like(zeros, _share(np.float32(1), present)))
        to += table.step


@compiled
def _look_up_numbers(plan: Plan, device: Device, operation: Integers) -> None:
    table = _table(plan, operation)
    to = table.at
    for row in range(device.rows[table.kind]):
        place = natural(device.at[table.kind, row])
        present = device.present[place, table.field]
        found = np.float32(0)
        for each in range(table.column, table.column + present):
            found += device.weights[table.begin + device.slots[place, each]]
        device.values[to] = found * _share(np.float32(1), present)
        to += table.step


@compiled
def _look_up_rows(plan: Plan, device: Device, operation: Integers) -> None:
    table = _table(plan, operation)
    to = table.at
    for row in range(device.rows[table.kind]):
        place = natural(device.at[table.kind, row])
        present = device.present[place, table.field]
        share = spread(_share(np.float32(1), present))
        for j in range(0, table.size, PADDED):
            found = spread(np.float32(0))
            for each in range(table.column, table.column + present):
                found = found + load(device.weights, table.begin + device.slots[place, each] * table.size + j)
            store_some(device.values, to + j, found * share, table.size - j)  # beside it other columns may stand
        to += table.step


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
    table = _table(plan, operation)
    of = table.at
    for row in range(device.rows[table.kind]):
        place = natural(device.at[table.kind, row])
        present = device.present[place, table.field]
        share = _share(device.scale, present)
        movement = spread_like(zeros, share) * load_like(zeros, device.gradients, of)
        for each in range(table.column, table.column + present):
            to = table.begin + device.slots[place, each] * table.size
            store(device.moved, to, load_like(zeros, device.moved, to) + movement)
        of += table.step


@compiled
def _move_numbers(plan: Plan, device: Device, operation: Integers) -> None:
    table = _table(plan, operation)
    of = table.at
    for row in range(device.rows[table.kind]):
        place = natural(device.at[table.kind, row])
        present = device.present[place, table.field]
        share = _share(device.scale, present)
        movement = share * device.gradients[of]
        for each in range(table.column, table.column + present):
            device.moved[table.begin + device.slots[place, each]] += movement
        of += table.step


@compiled
def _move_rows(plan: Plan, device: Device, operation: Integers) -> None:
    table = _table(plan, operation)
    of = table.at
    for row in range(device.rows[table.kind]):
        place = natural(device.at[table.kind, row])
        present = device.present[place, table.field]
        share = _share(device.scale, present)
        for each in range(table.column, table.column + present):
            to = table.begin + device.slots[place, each] * table.size
            add_row(device.moved, to, device.gradients, of, table.size, share)
        of += table.step


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
