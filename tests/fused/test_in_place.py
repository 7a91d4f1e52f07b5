from fedctr.fused.in_place import in_place
from fedctr.fused.plan import BESIDE, CLICK, LOOK_UP, MEAN, SAMPLE, SECOND_ORDER, SUM, TURN, USER
from fedctr.fused.recorder import Value

ITEM, CLICKS, HISTORY, SHOWN, JOINT, PERSON, LAST = range(7)
VALUES = [
    Value(SAMPLE, 4),
    Value(CLICK, 4),
    Value(SAMPLE, 4),
    Value(SAMPLE, 8),
    Value(SAMPLE, 11),
    Value(USER, 3),
    Value(SAMPLE, 11, across=True),
]
MADE = [
    (LOOK_UP, PERSON, 8, 0),
    (LOOK_UP, ITEM, 5, 0),
    (LOOK_UP, ITEM, 6, 2),
    (LOOK_UP, CLICKS, 5, 0),
    (LOOK_UP, CLICKS, 6, 2),
    (MEAN, HISTORY, CLICKS, 0),
    (BESIDE, SHOWN, ITEM, 0),
    (BESIDE, SHOWN, HISTORY, 4),
    (BESIDE, JOINT, PERSON, 0),
    (BESIDE, JOINT, SHOWN, 3),
    (TURN, LAST, JOINT),
]


def test_what_stands_beside_others_is_written_there() -> None:
    """Also where these stand beside others themselves; what is the user's is copied to every sample."""
    assert in_place(VALUES, MADE) == [
        (LOOK_UP, PERSON, 8, 0),
        (LOOK_UP, JOINT, 5, 3),
        (LOOK_UP, JOINT, 6, 5),
        (LOOK_UP, CLICKS, 5, 0),
        (LOOK_UP, CLICKS, 6, 2),
        (MEAN, JOINT, CLICKS, 7),
        (BESIDE, JOINT, PERSON, 0),
        (TURN, LAST, JOINT),
    ]


def test_what_somebody_else_reads_is_copied() -> None:
    read_twice = [*MADE, (SUM, 7, HISTORY)]
    found = in_place([*VALUES, Value(SAMPLE, 1, flat=True)], read_twice)
    assert (MEAN, HISTORY, CLICKS, 0) in found
    assert (BESIDE, JOINT, HISTORY, 7) in found


def test_what_no_operation_can_write_beside_others_is_copied() -> None:
    made = [(LOOK_UP, ITEM, 5, 0), (SECOND_ORDER, SHOWN, ITEM, 2, 7), (BESIDE, JOINT, SHOWN, 0)]
    assert in_place(VALUES, made) == made
