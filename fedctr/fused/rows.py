"""The rows of a device's tables: which codes they stand for, and what they begin with."""

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import BEFORE, BEGIN, FIELD, FIRST, LENGTH, ROOM_AT, SOURCE, VALUES, Integers, Plan
from fedctr.fused.state import Bench, Devices, Numbers, People


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
def enter(plan: Plan, people: People, rows: Integers, devices: Devices, device: int, bench: Bench, user: int) -> None:
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
def publish(plan: Plan, rows: Integers, devices: Devices, device: int) -> None:
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
