"""A gated recurrent unit, place by place; see :class:`fedctr.models.gru.GRU`.

Each state that it makes has a row, with what made it; those of a place are neighbours, and for all of them at once the
weights are multiplied with the states before. Gradients are at the same places.
"""

from typing import NamedTuple

import numpy as np

from fedctr.fused.activations import hyperbolic_tangent, sigmoid
from fedctr.fused.compiled import compiled, compiled_into
from fedctr.fused.copying import clear_places, copy_row
from fedctr.fused.operations.runs import rounded
from fedctr.fused.products import add_product, write_product
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED, padded
from fedctr.fused.vectors import (
    HALF,
    Vector,
    load,
    load_like,
    load_some_like,
    multiply_add,
    spread,
    spread_half,
    spread_like,
    store,
    total,
)


class Unit(NamedTuple):
    """Where a recurrent unit finds what it works on, in ``device.values`` unless said otherwise.

    Attributes:
        size: width of the state.
        part: the same in whole vectors. A row holds the state, both gates side by side, what is recalled and what is
            fresh, which begin at 0, 1, 3 and 4 times as much ...
        joint: ... and here three parts of ``size`` columns, side by side, in ``wide`` columns.
        wide: how many.
        rows: the first row; ``step`` from row to row.
        turned: the weights that the states are multiplied with, turned, side by side. Among the gradients they are as
            they are, one below the other, ``stride`` from row to row.
        zeros: a state to begin with, and behind it a share of 1.
        gate: the weight for both gates, in ``device.weights``.
        renew: that for what is recalled, likewise; ``stride`` from row to row in both.
        places: of the longest line.
        counts: row of ``device.runs`` that tells how many lines have each place ...
        firsts: ... and that of the first one's row.
        read: the first row of what is read; ``read_step`` from row to row.
        by_place: row of ``device.runs`` that tells which of them is read at a place ...
        by_line: ... and how far from it, of each line.
        shares: the first share; ``share_line`` from line to line, ``share_place`` from place to place.
    """

    size: int
    part: int
    joint: int
    wide: int
    rows: int
    step: int
    turned: int
    zeros: int
    gate: int
    renew: int
    stride: int
    places: int
    counts: int
    firsts: int
    read: int
    read_step: int
    by_place: int
    by_line: int
    shares: int
    share_line: int
    share_place: int


def wide(size: int) -> int:
    """Columns for three parts, the last of them in whole vectors."""
    return padded(2 * size + padded(size))


def width_of_row(size: int) -> int:
    """Columns of a unit's row."""
    return 5 * padded(size) + wide(size)


def room_for_weights(size: int) -> int:
    """Floats for the weights of two units and that between them, turned, with a state to begin with and a share."""
    return 3 * padded(size) * wide(size) + padded(size) + PADDED


@compiled
def _row(device: Device, unit: Unit, place: int) -> int:
    """Where the rows of a place begin."""
    return int(unit.rows + device.runs[unit.firsts, place] * unit.step)


@compiled
def _read(device: Device, unit: Unit, place: int, line: int) -> int:
    """Where a line's row is that is read at a place."""
    return int(unit.read + (device.runs[unit.by_place, place] + device.runs[unit.by_line, line]) * unit.read_step)


@compiled
def run(device: Device, unit: Unit) -> None:
    """Make the states of all places."""
    before, step = unit.zeros, 0
    for place in range(unit.places):
        count, row = device.runs[unit.counts, place], _row(device, unit, place)
        if place:  # where the gradient will be, the products wait
            write_product(
                device.gradients, row + unit.joint, unit.step,
                device.values, before, unit.step, 1,
                device.values, unit.turned, unit.wide,
                rounded(count), 3 * unit.size, unit.size,
                device.values, 0, 0, np.float32(-np.inf),
            )  # fmt: skip
        else:
            for line in range(count):
                clear_places(device.gradients, row + line * unit.step + unit.joint, unit.wide)
        for line in range(count):
            _open_gates(device, unit, row + line * unit.step, _read(device, unit, place, line))
        for line in range(count):
            share = device.values[unit.shares + line * unit.share_line + place * unit.share_place]
            read = _read(device, unit, place, line) + 2 * unit.size
            _renew(device, unit, row + line * unit.step, before + line * step, read, share)
        for line in range(count, rounded(count)):
            clear_places(device.values, row + line * unit.step, unit.part)
        before, step = row, unit.step


@compiled
def _open_gates(device: Device, unit: Unit, row: int, read: int) -> None:
    for j in range(0, 2 * unit.size, PADDED):
        gates = load(device.values, read + j) + load(device.gradients, row + unit.joint + j)
        store(device.values, row + unit.part + j, sigmoid(gates))


@compiled
def _renew(device: Device, unit: Unit, row: int, before: int, read: int, share: np.float32) -> None:
    """Make a state from the one before and from what is read, by its share."""
    values, gates, product = device.values, row + unit.part, row + unit.joint + 2 * unit.size
    for j in range(0, unit.size, PADDED):
        recalled, state = load(device.gradients, product + j), load(values, before + j)
        fresh = hyperbolic_tangent(multiply_add(load(values, gates + j), recalled, load(values, read + j)))
        moved = load(values, gates + unit.size + j) * spread(share)
        store(values, row + j, multiply_add(moved, fresh - state, state))
        store(values, row + 3 * unit.part + j, recalled)
        store(values, row + 4 * unit.part + j, fresh)


@compiled
def run_backward(device: Device, unit: Unit, move_gate: bool, move_renew: bool) -> None:
    """From the gradients of the states to those of what was read and of the shares; then move the weights."""
    weights = (0, 2 * unit.size, unit.gate, move_gate), (2 * unit.size, unit.size, unit.renew, move_renew)
    for column, rows, weight, _ in weights:
        to = unit.turned + column * unit.stride
        copy_row(device.gradients, to, device.weights, weight, rows * unit.stride)
    for place in range(unit.places - 1, -1, -1):
        count, row = device.runs[unit.counts, place], _row(device, unit, place)
        before, step = (_row(device, unit, place - 1), unit.step) if place else (unit.zeros, 0)
        for line in range(count):
            share = unit.shares + line * unit.share_line + place * unit.share_place
            read = _read(device, unit, place, line)
            _renew_backward(device, unit, row + line * unit.step, before + line * step, read, share)
        for line in range(count, rounded(count)):
            clear_places(device.gradients, row + line * unit.step + unit.joint, unit.wide)
        if place:
            add_product(
                device.gradients, before, unit.step,
                device.gradients, row + unit.joint, unit.step, 1,
                device.gradients, unit.turned, unit.stride,
                rounded(count), unit.size, 3 * unit.size, np.float32(1),
            )  # fmt: skip
    for place in range(1, unit.places):
        for column, rows, weight, move in weights:
            add_product(
                device.moved, weight, unit.stride,
                device.gradients, _row(device, unit, place) + unit.joint + column, 1, unit.step,
                device.values, _row(device, unit, place - 1), unit.step,
                rows if move else 0, unit.size, device.runs[unit.counts, place], device.scale,
            )  # fmt: skip


@compiled
def _renew_backward(device: Device, unit: Unit, row: int, before: int, read: int, share: int) -> None:
    """To the state before, to what was read, to the share, and to the products with the weights."""
    rest = unit.size % PADDED
    begin, of_share = unit.size - rest, np.float32(0)
    # The last first: what goes behind it is overwritten.
    if rest > HALF:
        of_share += _part_backward(device, unit, row, before, read, share, begin, rest, spread(np.float32(1)))
    elif rest:
        of_share += _part_backward(device, unit, row, before, read, share, begin, rest, spread_half(np.float32(1)))
    for j in range(begin - PADDED, -PADDED, -PADDED):
        of_share += _part_backward(device, unit, row, before, read, share, j, PADDED, spread(np.float32(1)))
    device.gradients[share] = of_share


@compiled_into
def _part_backward(
    device: Device, unit: Unit, row: int, before: int, read: int, share: int, j: int, count: int, one: Vector
) -> np.float32:
    """The same of some columns, from ``j`` on, as many as a vector holds; gives what goes to the share."""
    values, gradients, size, part, joint = device.values, device.gradients, unit.size, unit.part, row + unit.joint
    # What lies behind the last column is anything, and is made zero: so is then what goes there.
    gradient, state = load_some_like(one, gradients, row + j, count), load_some_like(one, values, before + j, count)
    reset = load_some_like(one, values, row + part + j, count)
    update = load_some_like(one, values, row + part + size + j, count)
    recalled = load_some_like(one, values, row + 3 * part + j, count)
    fresh = load_some_like(one, values, row + 4 * part + j, count)
    moved, of_moved = update * spread_like(one, values[share]), gradient * (fresh - state)
    of_update = of_moved * moved * (one - update)
    of_fresh = gradient * moved * (one - fresh * fresh)
    of_recalled = of_fresh * reset
    of_reset = of_recalled * recalled * (one - reset)
    store(gradients, before + j, load_like(one, gradients, before + j) + gradient * (one - moved))
    store(gradients, joint + j, of_reset)
    store(gradients, joint + size + j, of_update)
    store(gradients, joint + 2 * size + j, of_recalled)
    store(gradients, read + j, load_like(one, gradients, read + j) + of_reset)
    store(gradients, read + size + j, load_like(one, gradients, read + size + j) + of_update)
    store(gradients, read + 2 * size + j, load_like(one, gradients, read + 2 * size + j) + of_fresh)
    return np.float32(total(of_moved * update))
