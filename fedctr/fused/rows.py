"""What a device keeps of its user: clicks, and the rows of tables with the codes that they stand for."""

from fedctr.fused.compiled import compiled, compiled_into
from fedctr.fused.copying import copy_row
from fedctr.fused.plan import (
    BEFORE,
    BEGIN,
    COLUMN,
    FIELD,
    FIRST,
    LENGTH,
    OF_USER,
    ROOM_AT,
    SOURCE,
    VALUES,
    Integers,
    Plan,
)
from fedctr.fused.state import Bench, Devices, Numbers, People
from fedctr.fused.vectors import natural


@compiled
def row_of(people: People, user: int, place: int) -> int:
    """The row of the data set that is at a place of a user."""
    train = int(people.train[user])
    return int(people.start[user]) + place if place < train else int(people.other[user]) + place - train


@compiled_into
def _number(
    plan: Plan, field: int, codes: Numbers, described: int, place: int, devices: Devices, device: int, bench: Bench
) -> None:
    """Find the rows that the codes of one field at one place are kept in, or give them the next ones."""
    before, start = natural(plan.fields[field, BEFORE]), natural(plan.fields[field, ROOM_AT])
    column, first, found = natural(plan.fields[field, COLUMN]), natural(plan.fields[field, FIRST]), 0
    described, place = natural(described), natural(place)
    for each in range(plan.fields[field, VALUES]):
        code = natural(codes[described, column + each])
        if code == 0:
            continue
        slot = bench.numbers[before + code]
        if slot == 0:
            row = natural(devices.rows[device, field])
            devices.codes[device, start + row] = code
            slot = row + 1
            devices.rows[device, field] = bench.numbers[before + code] = slot
        devices.slots[device, place, first + found] = slot - 1
        found += 1
    devices.present[device, place, field] = found


@compiled
def _look_back(people: People, devices: Devices, device: int, user: int) -> None:
    """Find the clicks of the training part, and those of them before each sample; see ``Histories`` in features.py."""
    source, train, start, clicks, before = people.source, int(people.train[user]), int(people.start[user]), 0, 0
    for place in range(train):
        row = start + place
        if place and source.time[row] > source.time[row - 1]:
            before = clicks
        devices.before[device, place, 0] = max(before - source.history_length, 0)
        devices.before[device, place, 1] = before
        if source.label[row]:
            devices.clicks[device, clicks] = place
            clicks += 1
    for sample in range(people.scored[user]):
        place = int(people.asked[user, sample])
        row = row_of(people, user, place)
        # What is in the training part, or as late as the last of it, has the clicks before that.
        same = min(row - start, train - 1)
        known = same >= 0 and source.time[row] == source.time[start + same]
        end = int(devices.before[device, same, 1]) if known else clicks
        devices.before[device, place, 0] = max(end - source.history_length, 0)
        devices.before[device, place, 1] = end


@compiled
def enter(plan: Plan, people: People, rows: Integers, devices: Devices, device: int, bench: Bench, user: int) -> None:
    """Take a user in, and number the codes that it needs: of its training part, and from ``rows`` on what is scored."""
    source = people.source
    if source.history_length:
        _look_back(people, devices, device, user)
    for field in range(len(plan.fields)):
        devices.rows[device, field], of_user = 0, plan.fields[field, OF_USER]
        if of_user:
            _number(plan, field, source.user_codes, people.users[user], 0, devices, device, bench)
        else:
            for place in range(people.train[user]):
                item = source.item[row_of(people, user, place)]
                _number(plan, field, source.item_codes, item + 1, place, devices, device, bench)
        devices.tuned[device, field] = devices.rows[device, field]
        if not of_user:
            devices.rows[device, field] = max(devices.rows[device, field], rows[field])
            for sample in range(people.scored[user]):
                place = int(people.asked[user, sample])
                item = source.item[row_of(people, user, place)]
                _number(plan, field, source.item_codes, item + 1, place, devices, device, bench)
        for slot in range(devices.rows[device, field]):
            if slot < devices.tuned[device, field] or slot >= rows[field]:
                bench.numbers[
                    plan.fields[field, BEFORE] + devices.codes[device, plan.fields[field, ROOM_AT] + slot]
                ] = 0


@compiled
def publish(plan: Plan, rows: Integers, devices: Devices, device: int) -> None:
    """Give a device the published parameters."""
    weights = devices.weights[device]
    copy_row(weights, 0, plan.published, 0, plan.dense)
    for parameter in range(len(plan.parameters)):
        field, size = plan.parameters[parameter, FIELD], plan.parameters[parameter, LENGTH]
        if field < 0:
            continue
        start = plan.fields[field, ROOM_AT]
        for slot in range(devices.rows[device, field]):
            if slot < devices.tuned[device, field] or slot >= rows[field]:
                to = plan.parameters[parameter, BEGIN] + slot * size
                of = plan.parameters[parameter, SOURCE] + devices.codes[device, start + slot] * size
                copy_row(weights, to, plan.published, of, size)


@compiled
def clear_padding(plan: Plan, rows: Integers, devices: Devices, device: int) -> None:
    """Let rows of tables be zero that stand for no code, of those that training may need: PyTorch sees them as well."""
    for parameter in range(len(plan.parameters)):
        field, size = plan.parameters[parameter, FIELD], plan.parameters[parameter, LENGTH]
        if field < 0:
            continue
        begin = plan.parameters[parameter, BEGIN]
        for at in range(begin + devices.tuned[device, field] * size, begin + rows[field] * size):
            devices.weights[device, at] = 0
