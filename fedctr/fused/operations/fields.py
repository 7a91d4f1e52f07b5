"""Attention of a sample's fields to one another, samples side by side.

A linear layer, the same for all fields, makes a query, a key, a value and a residual of each. What a field becomes is
the ReLU of its residual and of the values, weighted by the softmax of the products of its query with the keys; each
head for itself.
"""

from typing import NamedTuple

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.exponential import exponential
from fedctr.fused.plan import BEGIN, KIND, OUT, START, STEP, STRIDE, WIDTH, A, B, C, D, E, F, G, Integers, Plan
from fedctr.fused.products import add_product
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.vectors import clear_places, larger, load, multiply_add, spread, store, where_positive


class _Places(NamedTuple):
    """Where some samples have what a head makes of a field, in ``device.values``; gradients are at the same places.

    Each is the first of ``width`` rows, which are ``step`` apart; of another field it is ``apart`` further on.

    Attributes:
        query: of the field.
        residual: of the field.
        found: what it becomes.
        key: of the first field.
        value: of the first field.
        attention: a row for each field, how much of its value is taken.
    """

    query: int
    residual: int
    found: int
    key: int
    value: int
    attention: int
    fields: int
    width: int
    step: int
    apart: int


@compiled
def _places(plan: Plan, operation: Integers, sample: int, head: int, field: int) -> _Places:
    value, parts, attention = plan.values[operation[OUT]], plan.values[operation[F]], plan.values[operation[G]]
    fields, heads, step = operation[D], operation[E], value[STEP]
    size = value[WIDTH] // fields
    width, apart = size // heads, 4 * size * step
    first = parts[START] + sample + head * width * step
    own = first + field * apart
    return _Places(
        own, own + 3 * size * step, value[START] + sample + (field * size + head * width) * step,
        first + size * step, first + 2 * size * step,
        attention[START] + sample + (head * fields + field) * fields * step, fields, width, step, apart,
    )  # fmt: skip


@compiled
def attend_fields(plan: Plan, device: Device, operation: Integers) -> None:
    """The layer, then every field's attention to all of them."""
    value, x, parts = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[F]]
    weight, fields, samples = plan.parameters[operation[C]], operation[D], device.rows[value[KIND]]
    inputs, outputs = x[WIDTH] // fields, parts[WIDTH] // fields
    clear_places(device.values, parts[START], parts[WIDTH] * parts[STEP])
    for field in range(fields):
        add_product(
            device.values, parts[START] + field * outputs * parts[STEP], parts[STEP],
            device.weights, weight[BEGIN], weight[STRIDE], 1,
            device.values, x[START] + field * inputs * x[STEP], x[STEP],
            outputs, samples, inputs, np.float32(1),
        )  # fmt: skip
    for sample in range(0, samples, PADDED):
        for head in range(operation[E]):
            for field in range(fields):
                at = _places(plan, operation, sample, head, field)
                _softmax(device, at)
                _take(device, at)


@compiled
def _softmax(device: Device, at: _Places) -> None:
    values, most, sums = device.values, spread(np.float32(-np.inf)), spread(np.float32(0))
    for field in range(at.fields):
        product, key, query = spread(np.float32(0)), at.key + field * at.apart, at.query
        for _ in range(at.width):
            product = multiply_add(load(values, query), load(values, key), product)
            query, key = query + at.step, key + at.step
        store(values, at.attention + field * at.step, product)
        most = larger(product, most)
    for field in range(at.fields):
        place = at.attention + field * at.step
        part = exponential(load(values, place) - most)
        store(values, place, part)
        sums = sums + part
    share = spread(np.float32(1)) / sums
    for field in range(at.fields):
        place = at.attention + field * at.step
        store(values, place, load(values, place) * share)


@compiled
def _take(device: Device, at: _Places) -> None:
    """Residual and values, by their weights."""
    values = device.values
    for row in range(0, at.width * at.step, at.step):
        found = load(values, at.residual + row)
        for field in range(at.fields):
            taken = load(values, at.value + field * at.apart + row)
            found = multiply_add(load(values, at.attention + field * at.step), taken, found)
        store(values, at.found + row, where_positive(found, found))


@compiled
def attend_fields_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """Through the attention to what the layer gave; then to what it read, and to its weight."""
    value, x, read = plan.values[operation[OUT]], plan.values[operation[A]], plan.values[operation[B]]
    parts, weight = plan.values[operation[F]], plan.parameters[operation[C]]
    fields, samples = operation[D], device.rows[value[KIND]]
    inputs, outputs = x[WIDTH] // fields, parts[WIDTH] // fields
    clear_places(device.gradients, parts[START], parts[WIDTH] * parts[STEP])
    for sample in range(0, samples, PADDED):
        for head in range(operation[E]):
            for field in range(fields):
                at = _places(plan, operation, sample, head, field)
                _take_backward(device, at)
                _softmax_backward(device, at)
    if device.needed[operation[A]]:
        for field in range(fields):
            add_product(
                device.gradients, x[START] + field * inputs * x[STEP], x[STEP],
                device.weights, weight[BEGIN], 1, weight[STRIDE],
                device.gradients, parts[START] + field * outputs * parts[STEP], parts[STEP],
                inputs, samples, outputs, np.float32(1),
            )  # fmt: skip
    if device.trained[operation[C]]:
        for field in range(fields):
            add_product(
                device.moved, weight[BEGIN], weight[STRIDE],
                device.gradients, parts[START] + field * outputs * parts[STEP], parts[STEP], 1,
                device.values, read[START] + field * inputs, read[STEP],
                outputs, inputs, samples, device.scale,
            )  # fmt: skip


@compiled
def _take_backward(device: Device, at: _Places) -> None:
    """To the residual, and to values and weights."""
    values, gradients = device.values, device.gradients
    for row in range(0, at.width * at.step, at.step):
        gradient = where_positive(load(values, at.found + row), load(gradients, at.found + row))
        store(gradients, at.residual + row, gradient)
        for field in range(at.fields):
            to = at.value + field * at.apart + row
            weight = load(values, at.attention + field * at.step)
            store(gradients, to, multiply_add(weight, gradient, load(gradients, to)))
    for field in range(at.fields):
        product = spread(np.float32(0))
        for row in range(0, at.width * at.step, at.step):
            taken = load(values, at.value + field * at.apart + row)
            product = multiply_add(load(gradients, at.residual + row), taken, product)
        store(gradients, at.attention + field * at.step, product)


@compiled
def _softmax_backward(device: Device, at: _Places) -> None:
    """To query and keys."""
    values, gradients, mean = device.values, device.gradients, spread(np.float32(0))
    for row in range(0, at.fields * at.step, at.step):
        mean = multiply_add(load(values, at.attention + row), load(gradients, at.attention + row), mean)
    for row in range(0, at.fields * at.step, at.step):
        place = at.attention + row
        store(gradients, place, load(values, place) * (load(gradients, place) - mean))
    for row in range(0, at.width * at.step, at.step):
        query, to_query = load(values, at.query + row), spread(np.float32(0))
        for field in range(at.fields):
            key, gradient = at.key + field * at.apart + row, load(gradients, at.attention + field * at.step)
            to_query = multiply_add(gradient, load(values, key), to_query)
            store(gradients, key, multiply_add(gradient, query, load(gradients, key)))
        store(gradients, at.query + row, to_query)
