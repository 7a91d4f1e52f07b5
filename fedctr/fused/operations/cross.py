"""What a cross layer does with its input: the product element by element."""

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import KIND, OUT, START, STEP, WIDTH, A, B, C, Integers, Plan
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.vectors import load, multiply_add, store


@compiled
def cross(plan: Plan, device: Device, operation: Integers) -> None:
    """``a + b * c``."""
    value = plan.values[operation[OUT]]
    first, second, third = plan.values[operation[A]], plan.values[operation[B]], plan.values[operation[C]]
    values = device.values
    for row in range(device.rows[value[KIND]]):
        to, added = value[START] + row * value[STEP], first[START] + row * first[STEP]
        one, two = second[START] + row * second[STEP], third[START] + row * third[STEP]
        for j in range(0, value[WIDTH], PADDED):
            store(values, to + j, multiply_add(load(values, one + j), load(values, two + j), load(values, added + j)))


@compiled
def cross_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """The same to ``a``; to each factor, times the other."""
    value = plan.values[operation[OUT]]
    first, second, third = plan.values[operation[A]], plan.values[operation[B]], plan.values[operation[C]]
    values, gradients = device.values, device.gradients
    for row in range(device.rows[value[KIND]]):
        of, added = value[START] + row * value[STEP], first[START] + row * first[STEP]
        one, two = second[START] + row * second[STEP], third[START] + row * third[STEP]
        for j in range(0, value[WIDTH], PADDED):
            gradient = load(gradients, of + j)
            # One after the other, since they may be one value.
            store(gradients, added + j, load(gradients, added + j) + gradient)
            store(gradients, one + j, multiply_add(gradient, load(values, two + j), load(gradients, one + j)))
            store(gradients, two + j, multiply_add(gradient, load(values, one + j), load(gradients, two + j)))
