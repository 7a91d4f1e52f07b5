"""How the interest in a sample's item evolved over the clicks before it; see :func:`fedctr.models.gru.follow_interest`.

What the first unit makes of clicks is the same for all samples of a run, so it is computed once for each run, and so is
what the second unit reads of it. The second unit's states are those of each sample.
"""

from typing import NamedTuple

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.copying import clear_places
from fedctr.fused.exponential import exponential
from fedctr.fused.operations.recurrence import Unit, run, run_backward
from fedctr.fused.operations.runs import FIRST, LINE, PLACE, RUN, RUN_ROW, RUNS, SAMPLE_ROW, SAMPLES, clicks_of, line_up
from fedctr.fused.plan import (
    BEGIN,
    CLICK,
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
    M,
    Plan,
)
from fedctr.fused.products import add_product
from fedctr.fused.referring import referred
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.turning import turned
from fedctr.fused.vectors import load, load_some, multiply_add, spread, store, total


class _Places(NamedTuple):
    """Where the operation finds what it works on, in ``device.values``; gradients are at the same places.

    Attributes:
        extract: the unit that reads clicks; its joint parts are what the other one reads.
        evolve: the unit that reads interests.
        turned: the weight between them, turned.
        sought: what the items seek in interests; ``sought_step`` from row to row.
        shares: of the samples' interests, in line; ``shares_step`` from row to row.
        found: where the last states go; ``found_step`` from row to row.
    """

    extract: Unit
    evolve: Unit
    turned: int
    sought: int
    sought_step: int
    shares: int
    shares_step: int
    found: int
    found_step: int


@compiled
def _places(plan: Plan, device: Device, operation: Integers) -> _Places:
    found, read, sought = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[B]]
    first, second, shares = plan.values[operation[J]], plan.values[operation[K]], plan.values[operation[L]]
    size, places, room = found[WIDTH], min(shares[WIDTH], device.rows[CLICK]), plan.values[operation[M], START]
    part = (size + PADDED - 1) // PADDED * PADDED
    joint, wide = 5 * part, (2 * size + part + PADDED - 1) // PADDED * PADDED
    zeros = room + 3 * part * wide
    gate, renew = plan.parameters[operation[C]], plan.parameters[operation[D]]
    extract = Unit(
        size, part, joint, wide, first[START], joint + wide, room, zeros, gate[BEGIN], renew[BEGIN], gate[STRIDE],
        places, RUNS, RUN_ROW, read[START], read[STEP], PLACE, FIRST, zeros + part, 0, 0,
    )  # fmt: skip
    gate, renew = plan.parameters[operation[G]], plan.parameters[operation[H]]
    evolve = Unit(
        size, part, joint, wide, second[START], joint + wide, room + part * wide, zeros, gate[BEGIN], renew[BEGIN],
        gate[STRIDE], places, SAMPLES, SAMPLE_ROW, first[START] + joint, joint + wide, RUN_ROW, RUN, shares[START],
        shares[STEP], 1,
    )  # fmt: skip
    return _Places(
        extract, evolve, room + 2 * part * wide, sought[START], sought[STEP], shares[START], shares[STEP],
        found[START], found[STEP],
    )  # fmt: skip


@compiled
def _interest(device: Device, unit: Unit, line: int, place: int) -> int:
    """Where the interest is that is made of a click before a sample."""
    return int(unit.rows + (device.runs[RUN_ROW, place] + device.runs[RUN, line]) * unit.step)


@compiled
def _last(device: Device, unit: Unit, line: int) -> int:
    """Where the last state of a sample is."""
    clicks = clicks_of(device, device.runs[LINE, line])
    return int(unit.rows + (device.runs[SAMPLE_ROW, clicks - 1] + line) * unit.step) if clicks else unit.zeros


@compiled
def follow(plan: Plan, device: Device, operation: Integers) -> None:
    """The second unit's last states; 0 of a sample without clicks."""
    at = referred(_places(plan, device, operation))
    unit, other, size = referred(at.extract), referred(at.evolve), at.extract.size
    line_up(device, unit.places)
    clear_places(device.values, unit.zeros, unit.part)
    device.values[unit.shares] = 1
    for parameter, rows, to in (
        (operation[C], 2 * size, unit.turned), (operation[D], size, unit.turned + 2 * size),
        (operation[E], 3 * size, at.turned),
        (operation[G], 2 * size, at.evolve.turned), (operation[H], size, at.evolve.turned + 2 * size),
    ):  # fmt: skip
        weight = plan.parameters[parameter]
        turned(
            device.values, to, unit.wide, device.weights, weight[BEGIN], weight[STRIDE], rows, size, False,
        )  # fmt: skip
    run(device, unit)
    _read(plan, device, operation, at)
    for line in range(device.rows[SAMPLE]):
        _attend(device, at, line)
    run(device, other)
    for line in range(device.rows[SAMPLE]):
        last, to = _last(device, other, line), at.found + device.runs[LINE, line] * at.found_step
        for j in range(0, size, PADDED):
            store(device.values, to + j, load(device.values, last + j))


@compiled
def _read(plan: Plan, device: Device, operation: Integers, at: _Places) -> None:
    """What the second unit reads of the interests."""
    unit, rows, bias = at.extract, device.runs[RUN_ROW, at.extract.places], operation[F]
    for row in range(rows):
        to = unit.rows + row * unit.step + unit.joint
        for j in range(0, 3 * unit.size, PADDED):
            begin = spread(np.float32(0))
            if bias >= 0:
                begin = load(device.weights, plan.parameters[bias, BEGIN] + j)
            store(device.values, to + j, begin)
    add_product(
        device.values, unit.rows + unit.joint, unit.step,
        device.values, unit.rows, unit.step, 1,
        device.values, at.turned, unit.wide,
        rows, 3 * unit.size, unit.size, np.float32(1),
    )  # fmt: skip


@compiled
def _attend(device: Device, at: _Places, line: int) -> None:
    """The shares of a sample's interests: the softmax of their products with what is sought."""
    unit = referred(at.extract)
    values, size, most, sums = device.values, unit.size, np.float32(-np.inf), spread(np.float32(0))
    sample, shares = device.runs[LINE, line], at.shares + line * at.shares_step
    sought, clicks = at.sought + sample * at.sought_step, clicks_of(device, sample)
    for j in range(0, clicks, PADDED):
        store(values, shares + j, spread(np.float32(-np.inf)))
    for place in range(clicks):
        interest, products = _interest(device, unit, line, place), spread(np.float32(0))
        for j in range(0, size, PADDED):
            one, other = load_some(values, sought + j, size - j), load_some(values, interest + j, size - j)
            products = multiply_add(one, other, products)
        product = np.float32(total(products))
        values[shares + place] = product
        most = max(most, product)
    for j in range(0, clicks, PADDED):
        share = exponential(load(values, shares + j) - spread(most))
        store(values, shares + j, share)
        sums = sums + share
    factor = spread(np.float32(1) / np.float32(total(sums)))
    for j in range(0, clicks, PADDED):
        store(values, shares + j, load(values, shares + j) * factor)


@compiled
def follow_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Through the second unit and the attention to the first one, then to the parameters."""
    at = referred(_places(plan, device, operation))
    unit, other = referred(at.extract), referred(at.evolve)
    for row in range(device.runs[RUN_ROW, unit.places]):
        clear_places(device.gradients, unit.rows + row * unit.step, unit.part)
        clear_places(device.gradients, unit.rows + row * unit.step + unit.joint, unit.wide)
    for row in range(device.runs[SAMPLE_ROW, unit.places]):
        clear_places(device.gradients, other.rows + row * other.step, unit.part)
    for line in range(device.rows[SAMPLE]):
        last, of = _last(device, other, line), at.found + device.runs[LINE, line] * at.found_step
        for j in range(0, unit.size, PADDED):
            store(device.gradients, last + j, load(device.gradients, of + j))
    run_backward(device, other, device.trained[operation[G]], device.trained[operation[H]])
    for line in range(device.rows[SAMPLE]):
        _attend_backward(device, at, line)
    _read_backward(plan, device, operation, at)
    run_backward(device, unit, device.trained[operation[C]], device.trained[operation[D]])


@compiled
def _attend_backward(device: Device, at: _Places, line: int) -> None:
    """To interests, and to what is sought."""
    values, gradients, sample, mean = device.values, device.gradients, device.runs[LINE, line], np.float32(0)
    sought, shares = at.sought + sample * at.sought_step, at.shares + line * at.shares_step
    unit, clicks = referred(at.extract), clicks_of(device, sample)
    for place in range(shares, shares + clicks):
        mean += values[place] * gradients[place]
    for j in range(0, unit.size, PADDED):
        factor, to_sought = load(values, sought + j), load(gradients, sought + j)
        for place in range(clicks):
            interest = _interest(device, unit, line, place) + j
            gradient = spread(values[shares + place] * (gradients[shares + place] - mean))
            to_sought = multiply_add(gradient, load(values, interest), to_sought)
            store(gradients, interest, multiply_add(gradient, factor, load(gradients, interest)))
        store(gradients, sought + j, to_sought)


@compiled
def _read_backward(plan: Plan, device: Device, operation: Integers, at: _Places) -> None:
    """Of what the second unit reads: to the interests, and to the weight and the bias."""
    unit, rows, weight = at.extract, device.runs[RUN_ROW, at.extract.places], plan.parameters[operation[E]]
    joint = unit.rows + unit.joint
    add_product(
        device.gradients, unit.rows, unit.step,
        device.gradients, joint, unit.step, 1,
        device.weights, weight[BEGIN], weight[STRIDE],
        rows, unit.size, 3 * unit.size, np.float32(1),
    )  # fmt: skip
    if device.trained[operation[E]]:
        add_product(
            device.moved, weight[BEGIN], weight[STRIDE],
            device.gradients, joint, 1, unit.step,
            device.values, unit.rows, unit.step,
            3 * unit.size, unit.size, rows, device.scale,
        )  # fmt: skip
    if operation[F] >= 0 and device.trained[operation[F]]:
        bias = plan.parameters[operation[F], BEGIN]
        for j in range(0, 3 * unit.size, PADDED):
            sums = spread(np.float32(0))
            for row in range(rows):
                sums = sums + load_some(device.gradients, joint + row * unit.step + j, 3 * unit.size - j)
            moved = load(device.moved, bias + j)
            store(device.moved, bias + j, multiply_add(spread(device.scale), sums, moved))
