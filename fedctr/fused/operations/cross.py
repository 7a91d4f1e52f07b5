"""What a cross layer does with its input: the product element by element, samples side by side."""

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import KIND, OUT, START, STEP, WIDTH, WRITTEN, A, B, C, Integers, Plan
from fedctr.fused.state import Device
from fedctr.fused.tiles import PADDED
from fedctr.fused.vectors import load, multiply_add, store


@compiled
def cross(plan: Plan, device: Device, operation: Integers) -> None:
    """``a + b * c``."""
    value, values = plan.values[operation[OUT]], device.values
    first, second, third = plan.values[operation[A]], plan.values[operation[B]], plan.values[operation[C]]
    for row in range(0, value[WIDTH] * value[STEP], value[STEP]):
        for at in range(row, row + device.rows[value[KIND]], PADDED):
            product = load(values, second[START] + at), load(values, third[START] + at)
            store(values, value[START] + at, multiply_add(*product, load(values, first[START] + at)))


@compiled
def cross_backward(plan: Plan, device: Device, operation: Integers) -> None:
    """The same to ``a``; to each factor, times the other."""
    value, values, gradients = plan.values[operation[OUT]], device.values, device.gradients
    first, second, third = plan.values[operation[A]], plan.values[operation[B]], plan.values[operation[C]]
    for row in range(0, value[WIDTH] * value[STEP], value[STEP]):
        for at in range(row, row + device.rows[value[KIND]], PADDED):
            gradient, added = load(gradients, value[START] + at), first[START] + at
            one, two = second[START] + at, third[START] + at
            # One after the other, since they may be one value.
            store(gradients, added, load(gradients, added) + gradient)
            store(gradients, one, multiply_add(gradient, load(values, two), load(gradients, one)))
            if third[WRITTEN]:
                store(gradients, two, gradient * load(values, one))
            else:
                store(gradients, two, multiply_add(gradient, load(values, one), load(gradients, two)))
