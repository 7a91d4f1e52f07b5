"""Fine-tuning and scoring in machine code, a device at a time.

All that a step needs of one user fits into a core's own cache. What is computed of a user depends on that user's
samples alone, in shapes that are its own, so nothing can depend on who is computed beside it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fedctr.fused.compiled import compiled, entry
from fedctr.fused.operations import (
    Device,
    Numbers,
    add,
    add_backward,
    add_up,
    add_up_backward,
    beside,
    beside_backward,
    layer,
    layer_backward,
    look_up,
    look_up_backward,
    mean,
    mean_backward,
    second_order,
    second_order_backward,
    shift,
    shift_backward,
    turn,
    turn_backward,
    user_layer,
    user_layer_backward,
)
from fedctr.fused.plan import (
    ACROSS,
    ADD,
    BEFORE,
    BEGIN,
    BESIDE,
    CLICK,
    CODE,
    FIELD,
    FIRST,
    KIND,
    LAYER,
    LENGTH,
    LOOK_UP,
    MEAN,
    OUT,
    ROOM_AT,
    SAMPLE,
    SECOND_ORDER,
    SHIFT,
    SOURCE,
    START,
    STEP,
    SUM,
    TURN,
    USER,
    USER_LAYER,
    VALUES,
    WIDTH,
    Integers,
    Plan,
)
from fedctr.fused.products import Floats

Flags = npt.NDArray[np.bool_]


class People(NamedTuple):
    """Some users; each has places for the samples of its training part, and behind them for those to be scored.

    Attributes:
        codes: int32 (users, places, columns), of the item, 0 where there is nothing.
        user_codes: int32 (users, columns), of the user.
        history: int32 (users, places, 2), which of the user's clicks came before: the first, and one after the last.
        clicks: int32 (users, clicks), their places, in order of time.
        train: int64 (users,), samples of the training part.
        held: int64 (users,), how many of them the device holds.
        local: int32 (users, samples), places of these.
        scored: int64 (users,), samples to be scored.
        asked: int32 (users, samples), places of these.
    """

    codes: Numbers
    user_codes: Numbers
    history: Numbers
    clicks: Numbers
    train: Integers
    held: Integers
    local: Numbers
    scored: Integers
    asked: Numbers


class Devices(NamedTuple):
    """What some devices keep.

    Attributes:
        weights: float32 (devices, weights), the private copies.
        slots: int32 (devices, places, columns), the rows of the tables that codes are kept in.
        present: int32 (devices, places, fields), how many codes of each field there are; they come first.
        codes: int32 (devices, room of all fields), the code that each row stands for.
        tuned: int32 (devices, fields), how many rows of each field's tables stand for codes of the training part.
        rows: int32 (devices, fields), one after the last row that stands for a code.
    """

    weights: Floats
    slots: Numbers
    present: Numbers
    codes: Numbers
    tuned: Numbers
    rows: Numbers


class Bench(NamedTuple):
    """What the device at work needs.

    Attributes:
        numbers: int32 (codes of all fields,), zeros.
        values: float32 (size,), see :class:`Plan`.
        gradients: float32 (size,), of the values.
        at: int64 (3, rows), the places of what there is a row for.
        history: int64 (rows, 2), the rows of the clicks before each sample.
        rows: int64 (3,), how many rows there are of each kind.
        plain: int64 (samples,), 0, 1, 2, ...: samples in their own order.
    """

    numbers: Numbers
    values: Floats
    gradients: Floats
    at: Integers
    history: Integers
    rows: Integers
    plain: Integers


class Training(NamedTuple):
    """How weights are moved.

    Attributes:
        scale: times the gradient is what is added to them.
        trained: bool (parameters,), which of them.
        needed: bool (values,), of which values that takes the gradient.
    """

    scale: np.float32
    trained: Flags
    needed: Flags


@compiled
def _number(
    plan: Plan, field: int, codes: Numbers, column: int, place: int, devices: Devices, device: int, bench: Bench
) -> None:
    """Find the rows that the codes of one field at one place are kept in, or give them the next ones."""
    before, start, found = plan.fields[field, BEFORE], plan.fields[field, ROOM_AT], 0
    for each in range(plan.fields[field, VALUES]):
        code = codes[column + each]
        if code == 0:
            continue
        slot = bench.numbers[before + code]
        if slot == 0:
            devices.codes[device, start + devices.rows[device, field]] = code
            devices.rows[device, field] += 1
            slot = devices.rows[device, field]
            bench.numbers[before + code] = slot
        devices.slots[device, place, plan.fields[field, FIRST] + found] = slot - 1
        found += 1
    devices.present[device, place, field] = found


@compiled
def _enter(plan: Plan, people: People, rows: Integers, devices: Devices, device: int, bench: Bench, user: int) -> None:
    """Number the codes that a user needs: those of its training part, and from ``rows`` on what else is scored."""
    columns = people.codes.shape[2]
    for field in range(len(plan.fields)):
        devices.rows[device, field] = 0
        first = plan.fields[field, FIRST]
        if first >= columns:
            _number(plan, field, people.user_codes[user], first - columns, 0, devices, device, bench)
        else:
            for place in range(people.train[user]):
                _number(plan, field, people.codes[user, place], first, place, devices, device, bench)
        devices.tuned[device, field] = devices.rows[device, field]
        if first < columns:
            devices.rows[device, field] = max(devices.rows[device, field], rows[field])
            for sample in range(people.scored[user]):
                asked = int(people.asked[user, sample])
                _number(plan, field, people.codes[user, asked], first, asked, devices, device, bench)
        for slot in range(devices.rows[device, field]):
            if slot < devices.tuned[device, field] or slot >= rows[field]:
                bench.numbers[
                    plan.fields[field, BEFORE] + devices.codes[device, plan.fields[field, ROOM_AT] + slot]
                ] = 0


@compiled
def _begin(plan: Plan, rows: Integers, devices: Devices, device: int) -> None:
    """Give a device the published parameters."""
    weights = devices.weights[device]
    for j in range(plan.dense):
        weights[j] = plan.published[j]
    for parameter in range(len(plan.parameters)):
        field, size = plan.parameters[parameter, FIELD], plan.parameters[parameter, LENGTH]
        if field < 0:
            continue
        start = plan.fields[field, ROOM_AT]
        for slot in range(devices.rows[device, field]):
            if slot < devices.tuned[device, field] or slot >= rows[field]:
                to = plan.parameters[parameter, BEGIN] + slot * size
                of = plan.parameters[parameter, SOURCE] + devices.codes[device, start + slot] * size
                row, published = weights[to : to + size], plan.published[of : of + size]
                for j in range(size):
                    row[j] = published[j]


@compiled
def _gather(people: People, bench: Bench, user: int, places: Numbers, order: Integers, first: int, count: int) -> None:
    """Put samples, and the clicks that they read, on the bench: those of ``places`` in this order."""
    bench.rows[USER], bench.rows[SAMPLE], bench.at[USER, 0] = 1, count, 0
    earliest, latest = people.clicks.shape[1], 0
    for row in range(count):
        place = places[order[first + row]]
        begin, end = people.history[user, place, 0], people.history[user, place, 1]
        bench.at[SAMPLE, row], bench.history[row, 0], bench.history[row, 1] = place, begin, end
        if begin < end:
            earliest, latest = min(earliest, begin), max(latest, end)
    bench.rows[CLICK] = max(latest - earliest, 0)
    for row in range(bench.rows[CLICK]):
        bench.at[CLICK, row] = people.clicks[user, earliest + row]
    for row in range(count):
        bench.history[row, 0] -= earliest
        bench.history[row, 1] -= earliest


@compiled
def _at_work(devices: Devices, device: int, bench: Bench, training: Training) -> Device:
    return Device(
        devices.weights[device], devices.weights[device], training.scale, training.trained, training.needed,
        bench.values, bench.gradients, devices.slots[device], devices.present[device], bench.at, bench.history,
        bench.rows,
    )  # fmt: skip


@compiled
def _forward(plan: Plan, device: Device) -> None:
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


@compiled
def _clear(plan: Plan, device: Device) -> None:
    """Let all gradients be zero."""
    for index in range(len(plan.values)):
        if device.needed[index]:
            value = plan.values[index]
            rows = value[WIDTH] if value[ACROSS] else device.rows[value[KIND]]
            gradient = device.gradients[value[START] : value[START] + rows * value[STEP]]
            for j in range(len(gradient)):
                gradient[j] = 0


@compiled
def _backward(plan: Plan, device: Device) -> None:
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


@compiled
def _score(plan: Plan, people: People, bench: Bench, device: Device, user: int, found: Floats) -> None:
    """The logits of a user's samples to be scored."""
    logits, block, count = plan.values[plan.logits], len(bench.history), people.scored[user]
    for first in range(0, count, block):
        size = min(block, count - first)
        _gather(people, bench, user, people.asked[user], bench.plain, first, size)
        _forward(plan, device)
        for row in range(size):
            found[first + row] = bench.values[logits[START] + row * logits[STEP]]


@entry
def fine_tune(
    plan: Plan,
    people: People,
    rows: Integers,
    devices: Devices,
    bench: Bench,
    training: Training,
    kept: Flags,
    batch_size: int,
    orders: Integers,
    targets: Floats,
    found: Floats,
) -> None:
    """Fine-tune every user with the contract's own loss and score it, one user after the other.

    Args:
        plan: the model.
        people: the users.
        rows: int64 (fields,), from which row of a table on there is what training does not need.
        devices: room for one.
        bench: its place of work.
        training: what to move, and how far.
        kept: bool (epochs + 1,), whether to score before the first epoch, and after each.
        batch_size: samples in a step.
        orders: int64 (epochs, users, samples), the order to take the samples of a device in.
        targets: float32 (users, samples), soft labels.
        found: float32 (times of scoring, users, samples), gets the logits.
    """
    logits, device = plan.values[plan.logits], _at_work(devices, 0, bench, training)
    for user in range(len(people.scored)):
        _enter(plan, people, rows, devices, 0, bench, user)
        _begin(plan, rows, devices, 0)
        score = 0
        for epoch in range(len(kept)):
            for first in range(0, people.held[user] if epoch else 0, batch_size):
                size, order = min(batch_size, people.held[user] - first), orders[epoch - 1, user]
                _gather(people, bench, user, people.local[user], order, first, size)
                _forward(plan, device)
                _clear(plan, device)
                for row in range(size):
                    at = logits[START] + row * logits[STEP]
                    click = np.float32(1) / (np.float32(1) + np.exp(-bench.values[at]))
                    bench.gradients[at] = (click - targets[user, order[first + row]]) / np.float32(size)
                _backward(plan, device)
            if kept[epoch]:
                _score(plan, people, bench, device, user, found[score, user])
                score += 1


@entry
def begin(plan: Plan, people: People, rows: Integers, devices: Devices, bench: Bench) -> None:
    """Give every user a device of its own, with the published parameters."""
    for user in range(len(people.scored)):
        _enter(plan, people, rows, devices, user, bench, user)
        _begin(plan, rows, devices, user)


@entry
def score(plan: Plan, people: People, devices: Devices, bench: Bench, training: Training, found: Floats) -> None:
    """The logits that every user's own device gives to its samples to be scored, float32 (users, samples)."""
    for user in range(len(people.scored)):
        _score(plan, people, bench, _at_work(devices, user, bench, training), user, found[user])


@entry
def descend(plan: Plan, people: People, devices: Devices, bench: Bench, training: Training, gradients: Floats) -> None:
    """Move every user's weights by the gradients of the logits of its samples to be scored, a step's at most.

    Args:
        plan: the model.
        people: the users; those to be scored are the samples of the step.
        devices: one for each.
        bench: a place of work.
        training: what to move, and how far.
        gradients: float32 (users, samples).
    """
    logits = plan.values[plan.logits]
    for user in range(len(people.scored)):
        device = _at_work(devices, user, bench, training)
        _gather(people, bench, user, people.asked[user], bench.plain, 0, people.scored[user])
        _forward(plan, device)
        _clear(plan, device)
        for row in range(people.scored[user]):
            bench.gradients[logits[START] + row * logits[STEP]] = gradients[user, row]
        _backward(plan, device)
