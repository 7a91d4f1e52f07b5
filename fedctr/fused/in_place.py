"""Values that are computed where they will stand, so that they need not be copied there."""

from collections import Counter
from collections.abc import Sequence

from fedctr.fused.plan import BESIDE, CODE, LOOK_UP, MEAN, OUT, READS_VALUES, A, B
from fedctr.fused.recorder import Operation, Value

WRITES_COLUMNS = {LOOK_UP, MEAN, BESIDE}  # from column B on


def in_place(values: Sequence[Value], operations: Sequence[Operation]) -> list[Operation]:
    """The same operations without copies of what nobody else reads.

    Args:
        values: what they give.
        operations: as they were recorded.
    """
    readers = Counter(operation[column] for operation in operations for column in READS_VALUES[operation[CODE]])
    elsewhere = {operation[OUT] for operation in operations if operation[CODE] not in WRITES_COLUMNS}
    stands = {
        operation[A]: (operation[OUT], operation[B])
        for operation in operations
        if operation[CODE] == BESIDE
        and readers[operation[A]] == 1
        and operation[A] not in elsewhere
        and values[operation[A]].kind == values[operation[OUT]].kind
    }
    found = []
    for operation in operations:
        code, number, *reads = operation
        if code == BESIDE and operation[A] in stands:
            continue
        while number in stands:
            number, column = stands[number]
            reads[B - A] += column
        found.append((code, number, *reads))
    return found
