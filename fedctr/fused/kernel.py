"""Fine-tuning and scoring in machine code, a device at a time.

All that a step needs of one user fits into a core's own cache. What is computed of a user depends on that user's
samples alone, in shapes that are its own, so nothing can depend on who is computed beside it.
"""

import numpy as np

from fedctr.fused.compiled import compiled, entry
from fedctr.fused.exponential import exponential
from fedctr.fused.passes import backward, clear, forward
from fedctr.fused.plan import ACROSS, CLICK, SAMPLE, START, STEP, USER, WIDTH, Integers, Plan
from fedctr.fused.referring import referred
from fedctr.fused.rows import clear_padding, enter, publish
from fedctr.fused.shuffling import shuffle
from fedctr.fused.state import Bench, Device, Devices, Flags, Numbers, People, Training, Words
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.vectors import larger, load, spread, store


@compiled
def _gather(device: Device, places: Numbers, order: Numbers, first: int, count: int) -> None:
    """Put samples, and the clicks that they read, on the bench: those of ``places`` in this order."""
    device.rows[USER], device.rows[SAMPLE], device.at[USER, 0] = 1, count, 0
    earliest, latest = len(device.clicks), 0
    for row in range(count):
        place = places[order[first + row]]
        begin, end = int(device.before[place, 0]), int(device.before[place, 1])
        device.at[SAMPLE, row], device.history[row, 0], device.history[row, 1] = place, begin, end
        if begin < end:
            earliest, latest = min(earliest, begin), max(latest, end)
    device.rows[CLICK] = max(latest - earliest, 0)
    for row in range(device.rows[CLICK]):
        device.at[CLICK, row] = device.clicks[earliest + row]
    for row in range(count):
        device.history[row, 0] -= earliest
        device.history[row, 1] -= earliest


@compiled
def _at_work(devices: Devices, device: int, moved: Floats, bench: Bench, training: Training) -> Device:
    return Device(
        devices.weights[device], moved[device], training.scale, training.trained, training.needed,
        bench.values, bench.gradients, devices.slots[device], devices.present[device], devices.clicks[device],
        devices.before[device], bench.at, bench.history, bench.rows, bench.runs,
    )  # fmt: skip


@compiled
def _score(plan: Plan, people: People, bench: Bench, device: Device, user: int, read: Integers, found: Floats) -> None:
    """Values of a user's samples to be scored, side by side, float32 (samples, columns)."""
    block, count = len(bench.history), people.scored[user]
    for first in range(0, count, block):
        size = min(block, count - first)
        _gather(device, people.asked[user], bench.plain, first, size)
        forward(plan, device)
        begin = 0
        for number in read:
            value = plan.values[number]
            down, along = (1, value[STEP]) if value[ACROSS] else (value[STEP], 1)
            for row in range(size):
                for column in range(value[WIDTH]):
                    found[first + row, begin + column] = bench.values[value[START] + row * down + column * along]
            begin += value[WIDTH]


@compiled
def _of_loss(bench: Bench, logits: int, count: int) -> None:
    """The gradient of the mean log loss by the logits, in the place of the targets; 0 in the padding."""
    share = spread(np.float32(1) / np.float32(count))
    for row in range(0, count, PADDED):
        # Beyond e to the power of 87 either way, a click is as good as sure.
        falling = exponential(spread(np.float32(0)) - larger(load(bench.values, logits + row), spread(np.float32(-87))))
        click = spread(np.float32(1)) / (spread(np.float32(1)) + falling)
        store(bench.gradients, logits + row, (click - load(bench.gradients, logits + row)) * share)
    for row in range(count, (count + PADDED - 1) // PADDED * PADDED):
        bench.gradients[logits + row] = 0


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
    streams: Words,
    targets: Floats,
    read: Integers,
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
        streams: uint64 (epochs,), see :func:`fedctr.randomness.stream`, of the order to take a device's samples in.
        targets: float32 (users, samples), soft labels.
        read: int64 (values,), numbers of those that are wanted, such as the logits.
        found: float32 (times of scoring, users, samples, columns), gets them side by side.
    """
    plan, people, devices, bench = referred(plan), referred(people), referred(devices), referred(bench)
    device = referred(_at_work(devices, 0, devices.weights, bench, training))
    logits = plan.values[plan.logits, START]
    for user in range(len(people.scored)):
        enter(plan, people, rows, devices, 0, bench, user)
        publish(plan, rows, devices, 0)
        score = 0
        for epoch in range(len(kept)):
            held = people.held[user] if epoch else 0
            if held:
                shuffle(streams[epoch - 1], people.users[user], held, bench)
            for first in range(0, held, batch_size):
                size = min(batch_size, held - first)
                _gather(device, people.local[user], bench.order, first, size)
                forward(plan, device)
                clear(plan, device)
                for row in range(size):
                    bench.gradients[logits + row] = targets[user, bench.order[first + row]]
                _of_loss(bench, logits, size)
                backward(plan, device)
            if kept[epoch]:
                _score(plan, people, bench, device, user, read, found[score, user])
                score += 1


@entry
def begin(plan: Plan, people: People, rows: Integers, devices: Devices, bench: Bench) -> None:
    """Give every user a device of its own, with the published parameters; nothing remains of whose it was before."""
    plan, people, devices, bench = referred(plan), referred(people), referred(devices), referred(bench)
    for user in range(len(people.scored)):
        enter(plan, people, rows, devices, user, bench, user)
        clear_padding(plan, rows, devices, user)
        publish(plan, rows, devices, user)


@entry
def score(
    plan: Plan, people: People, devices: Devices, bench: Bench, training: Training, read: Integers, found: Floats
) -> None:
    """What every user's own device makes of its samples to be scored, in ``found`` as by :func:`fine_tune`."""
    plan, people, devices, bench = referred(plan), referred(people), referred(devices), referred(bench)
    for user in range(len(people.scored)):
        device = referred(_at_work(devices, user, devices.weights, bench, training))
        _score(plan, people, bench, device, user, read, found[user])


@entry
def descend(
    plan: Plan,
    people: People,
    devices: Devices,
    moved: Floats,
    bench: Bench,
    training: Training,
    given: Floats,
    soft_labels: bool,
) -> None:
    """Go a step with every user, on its samples to be scored, a step's at most.

    Args:
        plan: the model.
        people: the users; those to be scored are the samples of the step.
        devices: one for each.
        moved: float32 (users, weights), what is added to: the devices' own weights, or any other array.
        bench: a place of work.
        training: what to move, and how far.
        given: float32 (users, samples), the gradients of the logits.
        soft_labels: whether these are given in their place, for the contract's own loss.
    """
    plan, people, devices, bench = referred(plan), referred(people), referred(devices), referred(bench)
    logits = plan.values[plan.logits, START]
    for user in range(len(people.scored)):
        device, size = referred(_at_work(devices, user, moved, bench, training)), people.scored[user]
        _gather(device, people.asked[user], bench.plain, 0, size)
        forward(plan, device)
        clear(plan, device)
        for row in range(size):
            bench.gradients[logits + row] = given[user, row]
        if soft_labels:
            _of_loss(bench, logits, size)
        backward(plan, device)
