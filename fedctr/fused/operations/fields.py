"""Attention of a sample's fields to one another, samples side by side.

A linear layer, the same for all fields, makes a query, a key, a value and a residual of each. What a field becomes is
the ReLU of its residual and of the values, weighted by the softmax of the products of its query with the keys; each
head for itself.
"""

from typing import NamedTuple

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.exponential import exponential
from fedctr.fused.operations.own_fields import own_fields, own_parts, own_parts_backward
from fedctr.fused.plan import (
    BEGIN,
    KIND,
    LENGTH,
    OUT,
    START,
    STEP,
    STRIDE,
    WIDTH,
    WRITTEN,
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    Integers,
    Plan,
)
from fedctr.fused.products import add_product, write_product
from fedctr.fused.sample_products import Matrices, write_products
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.turning import turned
from fedctr.fused.vectors import larger, load, multiply_add, spread, store, where_positive

_NO_LEAST = np.float32(-np.inf)


class _Places(NamedTuple):
    """Where some samples have what a head makes of the first field, among values; gradients are at the same places.

    Of each but ``attention`` there are ``width`` rows, which are ``step`` apart.

    Attributes:
        query: ``apart`` further on is that of the next field.
        key: likewise.
        value: likewise.
        residual: likewise.
        found: what the field becomes; that of the next field is ``own`` further on.
        attention: a row for each field, how much of its value is taken; of the next field, ``fields`` rows further on.
        fields: how many there are.
        width: of a head.
        step: from row to row.
        apart: from field to field of what the layer gives.
        own: from field to field of what they become.
    """

    query: int
    key: int
    value: int
    residual: int
    found: int
    attention: int
    fields: int
    width: int
    step: int
    apart: int
    own: int


@compiled
def _places(plan: Plan, operation: Integers, sample: int, head: int) -> _Places:
    value, parts, attention = plan.values[operation[OUT]], plan.values[operation[F]], plan.values[operation[G]]
    fields, heads, step = operation[D], operation[E], value[STEP]
    own = value[WIDTH] // fields * step
    width = value[WIDTH] // fields // heads
    first = parts[START] + sample + head * width * step
    return _Places(
        first, first + own, first + 2 * own, first + 3 * own, value[START] + sample + head * width * step,
        attention[START] + sample + head * fields * fields * step, fields, width, step, 4 * own, own,
    )  # fmt: skip


@compiled
def _zeros(values: Floats) -> Matrices:
    """At the beginning there is a vector of them."""
    return Matrices(values, 0, 0, 0)


@compiled
def attend_fields(plan: Plan, device: Device, operation: Integers) -> None:
    """The layer, then every field's attention to all of them."""
    value, x, parts = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[F]]
    weight, fields, samples = plan.parameters[operation[C]], operation[D], device.rows[value[KIND]]
    own, inputs, outputs = own_fields(plan, operation), weight[LENGTH], parts[WIDTH] // fields
    if own.fields:
        own_parts(device, own, parts, weight, samples)
    for field in range(own.fields, fields):
        write_product(
            device.values, parts[START] + field * outputs * parts[STEP], parts[STEP],
            device.weights, weight[BEGIN], weight[STRIDE], 1,
            device.values, x[START] + (field - own.fields) * inputs * x[STEP], x[STEP],
            outputs, samples, inputs, device.values, 0, 0, _NO_LEAST,
        )  # fmt: skip
    for sample in range(0, samples, PADDED):
        for head in range(operation[E]):
            at = _places(plan, operation, sample, head)
            _attend(device.values, at)


@compiled
def _attend(values: Floats, at: _Places) -> None:
    fields, width, step = at.fields, at.width, at.step
    attention = Matrices(values, at.attention, fields * step, step)
    query, key = Matrices(values, at.query, at.apart, step), Matrices(values, at.key, step, at.apart)
    write_products(attention, _zeros(values), query, key, fields, fields, width, _NO_LEAST)
    for field in range(fields):
        _softmax(values, at.attention + field * fields * step, fields, step)
    found, residual = Matrices(values, at.found, at.own, step), Matrices(values, at.residual, at.apart, step)
    value = Matrices(values, at.value, at.apart, step)
    write_products(found, residual, attention, value, fields, width, fields, np.float32(0))


@compiled
def _softmax(values: Floats, first: int, rows: int, step: int) -> None:
    most, sums = spread(np.float32(-np.inf)), spread(np.float32(0))
    for place in range(first, first + rows * step, step):
        most = larger(load(values, place), most)
    for place in range(first, first + rows * step, step):
        part = exponential(load(values, place) - most)
        store(values, place, part)
        sums = sums + part
    share = spread(np.float32(1)) / sums
    for place in range(first, first + rows * step, step):
        store(values, place, load(values, place) * share)


@compiled
def attend_fields_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Through the attention to what the layer gave; then to what it read, and to its weight."""
    value, x, read = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[B]]
    parts, weight = plan.values[operation[F]], plan.parameters[operation[C]]
    fields, samples = operation[D], device.rows[value[KIND]]
    own, inputs, outputs = own_fields(plan, operation), weight[LENGTH], parts[WIDTH] // fields
    shown, first = fields - own.fields, parts[START] + own.fields * outputs * parts[STEP]
    for sample in range(0, samples, PADDED):
        for head in range(operation[E]):
            _attend_backward(device.values, device.gradients, _places(plan, operation, sample, head))
    if device.needed[operation[A]]:
        for field in range(shown):
            to, of = x[START] + field * inputs * x[STEP], first + field * outputs * parts[STEP]
            if x[WRITTEN]:
                write_product(
                    device.gradients, to, x[STEP], device.weights, weight[BEGIN], 1, weight[STRIDE],
                    device.gradients, of, parts[STEP], inputs, samples, outputs, device.values, 0, 0, _NO_LEAST,
                )  # fmt: skip
            else:
                add_product(
                    device.gradients, to, x[STEP], device.weights, weight[BEGIN], 1, weight[STRIDE],
                    device.gradients, of, parts[STEP], inputs, samples, outputs, np.float32(1),
                )  # fmt: skip
    if own.fields:
        own_parts_backward(plan, device, operation, own, samples)
    if device.trained[operation[C]]:
        if operation[H]:
            turned(
                device.values, read[START], read[STEP], device.values, x[START], x[STEP], x[WIDTH], samples, False,
            )  # fmt: skip
        for field in range(shown):
            add_product(
                device.moved, weight[BEGIN], weight[STRIDE],
                device.gradients, first + field * outputs * parts[STEP], parts[STEP], 1,
                device.values, read[START] + field * inputs, read[STEP],
                outputs, inputs, samples, device.scale,
            )  # fmt: skip


@compiled
def _attend_backward(values: Floats, gradients: Floats, at: _Places) -> None:
    fields, width, step = at.fields, at.width, at.step
    for field in range(fields):
        found, residual = at.found + field * at.own, at.residual + field * at.apart
        for row in range(0, width * step, step):
            gradient = where_positive(load(values, found + row), load(gradients, found + row))
            store(gradients, residual + row, gradient)

    # Of each matrix, gradient and value, and the same turned.
    zeros, across = _zeros(values), Matrices(values, at.attention, step, fields * step)
    gradient, value = Matrices(gradients, at.residual, at.apart, step), Matrices(values, at.value, step, at.apart)
    of_value = Matrices(gradients, at.value, at.apart, step)
    write_products(of_value, zeros, across, gradient, fields, width, fields, _NO_LEAST)
    of_attention = Matrices(gradients, at.attention, fields * step, step)
    write_products(of_attention, zeros, gradient, value, fields, fields, width, _NO_LEAST)
    for field in range(fields):
        _softmax_backward(values, gradients, at.attention + field * fields * step, fields, step)
    of_query, key = Matrices(gradients, at.query, at.apart, step), Matrices(values, at.key, at.apart, step)
    write_products(of_query, zeros, of_attention, key, fields, width, fields, _NO_LEAST)
    of_key, query = Matrices(gradients, at.key, at.apart, step), Matrices(values, at.query, at.apart, step)
    across = Matrices(gradients, at.attention, step, fields * step)
    write_products(of_key, zeros, across, query, fields, width, fields, _NO_LEAST)


@compiled
def _softmax_backward(values: Floats, gradients: Floats, first: int, rows: int, step: int) -> None:
    mean = spread(np.float32(0))
    for place in range(first, first + rows * step, step):
        mean = multiply_add(load(values, place), load(gradients, place), mean)
    for place in range(first, first + rows * step, step):
        store(gradients, place, load(values, place) * (load(gradients, place) - mean))
