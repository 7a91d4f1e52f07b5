"""A model forward and backward, operation by operation."""

from fedctr.fused.compiled import compiled
from fedctr.fused.copying import clear_places
from fedctr.fused.operations.attention import attend, attend_backward
from fedctr.fused.operations.cross import cross, cross_backward
from fedctr.fused.operations.fields import attend_fields, attend_fields_backward
from fedctr.fused.operations.inner import inner, inner_backward
from fedctr.fused.operations.interest import follow, follow_backward
from fedctr.fused.operations.layers import layer, layer_backward, turn, turn_backward, user_layer, user_layer_backward
from fedctr.fused.operations.look_ups import look_up, look_up_backward, mean, mean_backward
from fedctr.fused.operations.sums import (
    add,
    add_backward,
    add_up,
    add_up_backward,
    beside,
    beside_backward,
    second_order,
    second_order_backward,
    shift,
    shift_backward,
)
from fedctr.fused.plan import (
    ACROSS,
    ADD,
    ATTEND,
    ATTEND_FIELDS,
    BESIDE,
    CODE,
    CROSS,
    FOLLOW,
    INNER,
    KIND,
    LAYER,
    LOOK_UP,
    MEAN,
    OUT,
    SECOND_ORDER,
    SHIFT,
    START,
    STEP,
    SUM,
    TURN,
    USER_LAYER,
    WIDTH,
    WRITTEN,
    Plan,
)
from fedctr.fused.state import Device


@compiled
def forward(plan: Plan, device: Device) -> None:
    """Compute all values from the samples at hand."""
    for index in range(len(plan.operations)):
        operation = plan.operations[index]
        code = operation[CODE]
        if code == LOOK_UP:
            look_up(plan, device, operation)
        elif code == MEAN:
            mean(plan, device, operation)
        elif code == BESIDE:
            beside(plan, device, operation)
        elif code == TURN:
            turn(plan, device, operation)
        elif code == LAYER:
            layer(plan, device, operation)
        elif code == USER_LAYER:
            user_layer(plan, device, operation)
        elif code == SUM:
            add_up(plan, device, operation)
        elif code == ADD:
            add(plan, device, operation)
        elif code == SHIFT:
            shift(plan, device, operation)
        elif code == SECOND_ORDER:
            second_order(plan, device, operation)
        elif code == CROSS:
            cross(plan, device, operation)
        elif code == ATTEND:
            attend(plan, device, operation)
        elif code == INNER:
            inner(plan, device, operation)
        elif code == ATTEND_FIELDS:
            attend_fields(plan, device, operation)
        elif code == FOLLOW:
            follow(plan, device, operation)


@compiled
def clear(plan: Plan, device: Device) -> None:
    """Let all gradients that are added to be zero."""
    for index in range(len(plan.values)):
        value = plan.values[index]
        if device.needed[index] and not value[WRITTEN]:
            rows = value[WIDTH] if value[ACROSS] else device.rows[value[KIND]]
            clear_places(device.gradients, value[START], rows * value[STEP])


@compiled
def backward(plan: Plan, device: Device) -> None:
    """Move the parameters, given the gradients of the logits in place; all others are zero."""
    for index in range(len(plan.operations) - 1, -1, -1):
        operation = plan.operations[index]
        code = operation[CODE]
        if not device.needed[operation[OUT]]:
            continue
        if code == LOOK_UP:
            look_up_backward(plan, device, operation)
        elif code == MEAN:
            mean_backward(plan, device, operation)
        elif code == BESIDE:
            beside_backward(plan, device, operation)
        elif code == TURN:
            turn_backward(plan, device, operation)
        elif code == LAYER:
            layer_backward(plan, device, operation)
        elif code == USER_LAYER:
            user_layer_backward(plan, device, operation)
        elif code == SUM:
            add_up_backward(plan, device, operation)
        elif code == ADD:
            add_backward(plan, device, operation)
        elif code == SHIFT:
            shift_backward(plan, device, operation)
        elif code == SECOND_ORDER:
            second_order_backward(plan, device, operation)
        elif code == CROSS:
            cross_backward(plan, device, operation)
        elif code == ATTEND:
            attend_backward(plan, device, operation)
        elif code == INNER:
            inner_backward(plan, device, operation)
        elif code == ATTEND_FIELDS:
            attend_fields_backward(plan, device, operation)
        elif code == FOLLOW:
            follow_backward(plan, device, operation)
