"""What a layer makes of the user's own fields, which are the same for all samples, before they are attended to."""

from typing import NamedTuple

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import BEGIN, LENGTH, START, STEP, STRIDE, WIDTH, C, D, F, Integers, J, K, Plan
from fedctr.fused.products import add_product, write_product
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.vectors import load_some, spread, store, total

_NO_LEAST = np.float32(-np.inf)


class Own(NamedTuple):
    """Where an operation finds the user's own fields, among values; gradients are at the same places.

    Attributes:
        fields: how many there are.
        start: their vectors, one after the other.
        across: the same, with a column for each field; ``step`` from row to row.
        parts: what the layer gives, likewise.
        step: room for the fields.
        inputs: numbers of a field.
        outputs: what the layer makes of them.
    """

    fields: int
    start: int
    across: int
    parts: int
    step: int
    inputs: int
    outputs: int


@compiled
def own_fields(plan: Plan, operation: Integers) -> Own:
    """Those of an operation; none for one that reads nothing of the user's."""
    inputs = plan.parameters[operation[C], LENGTH]
    outputs = plan.values[operation[F], WIDTH] // operation[D]
    fields, start = 0, 0
    if operation[J] >= 0:
        fields, start = plan.values[operation[J], WIDTH] // inputs, plan.values[operation[J], START]
    step, across = (fields + PADDED - 1) // PADDED * PADDED, plan.values[operation[K], START]
    return Own(fields, start, across, across + inputs * step, step, inputs, outputs)


@compiled
def own_parts(device: Device, own: Own, parts: Integers, weight: Integers, samples: int) -> None:
    """What the layer makes of the user's fields, which stand side by side; the same for every sample."""
    values = device.values
    for field in range(own.fields):
        for row in range(own.inputs):
            values[own.across + row * own.step + field] = values[own.start + field * own.inputs + row]
    write_product(
        values, own.parts, own.step, device.weights, weight[BEGIN], weight[STRIDE], 1, values, own.across, own.step,
        own.outputs, own.fields, own.inputs, values, 0, 0, _NO_LEAST,
    )  # fmt: skip
    for field in range(own.fields):
        for row in range(own.outputs):
            to = parts[START] + (field * own.outputs + row) * parts[STEP]
            vector = spread(values[own.parts + row * own.step + field])
            for sample in range(0, samples, PADDED):
                store(values, to + sample, vector)


@compiled
def own_parts_backward(plan: Plan, device: Device, operation: Integers, own: Own, samples: int) -> None:
    """To the user's fields and to the weight, from the sums over all samples."""
    gradients, parts, weight = device.gradients, plan.values[operation[F]], plan.parameters[operation[C]]
    for field in range(own.fields):
        for row in range(own.outputs):
            of, sums = parts[START] + (field * own.outputs + row) * parts[STEP], spread(np.float32(0))
            for sample in range(0, samples, PADDED):
                sums = sums + load_some(gradients, of + sample, samples - sample)
            gradients[own.parts + row * own.step + field] = total(sums)
    if device.needed[operation[J]]:
        write_product(
            gradients, own.across, own.step, device.weights, weight[BEGIN], 1, weight[STRIDE],
            gradients, own.parts, own.step, own.inputs, own.fields, own.outputs, device.values, 0, 0, _NO_LEAST,
        )  # fmt: skip
        for field in range(own.fields):
            for row in range(own.inputs):
                gradients[own.start + field * own.inputs + row] += gradients[own.across + row * own.step + field]
    if device.trained[operation[C]]:
        add_product(
            device.moved, weight[BEGIN], weight[STRIDE], gradients, own.parts, own.step, 1,
            device.values, own.start, own.inputs, own.outputs, own.inputs, own.fields, device.scale,
        )  # fmt: skip
