"""Inner products of all pairs of parts of a value, samples side by side."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import KIND, OUT, START, STEP, WIDTH, A, B, Integers, Plan
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.vectors import load, multiply_add, spread, store


@compiled
def inner(plan: Plan, device: Device, operation: Integers) -> None:
    """A row for each pair: of the first part with all others, of the second with those behind it, and so on."""
    value, x, size = plan.values[operation[OUT]], plan.values[operation[A]], operation[B]
    values, step = device.values, x[STEP]
    for sample in range(0, device.rows[value[KIND]], PADDED):
        to, start = value[START] + sample, x[START] + sample
        for first in range(0, x[WIDTH], size):
            for second in range(first + size, x[WIDTH], size):
                one, other, sums = start + first * step, start + second * step, spread(np.float32(0))
                for _ in range(size):
                    sums = multiply_add(load(values, one), load(values, other), sums)
                    one, other = one + step, other + step
                store(values, to, sums)
                to += value[STEP]


@compiled
def inner_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """To each part of a pair the other, times the gradient."""
    value, x, size = plan.values[operation[OUT]], plan.values[operation[A]], operation[B]
    values, gradients, step = device.values, device.gradients, x[STEP]
    for sample in range(0, device.rows[value[KIND]], PADDED):
        of, start = value[START] + sample, x[START] + sample
        for first in range(0, x[WIDTH], size):
            for second in range(first + size, x[WIDTH], size):
                one, other, gradient = start + first * step, start + second * step, load(gradients, of)
                for _ in range(size):
                    store(gradients, one, multiply_add(gradient, load(values, other), load(gradients, one)))
                    store(gradients, other, multiply_add(gradient, load(values, one), load(gradients, other)))
                    one, other = one + step, other + step
                of += value[STEP]
