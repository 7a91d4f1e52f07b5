"""What the kernel is told of a model: its values, parameters, fields and operations, as arrays of numbers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

# What a value has rows for: the user, the samples of a step, or the clicks that these read.
USER, SAMPLE, CLICK = range(3)

# Columns of Plan.values: what it has rows for, how many columns, where it begins, how far it is from row to row, and
# whether it lies across, with a row for each of its columns instead, and whether the one operation that reads it writes
# its gradient, to which otherwise all who read it add. Before the first value there is a vector of zeros.
KIND, WIDTH, START, STEP, ACROSS, WRITTEN = range(6)

# Columns of Plan.parameters: where it begins in a device's weights, its columns, how far it is from row to row, where
# it begins in the published ones, the number of its field, -1 for one that is no table, and whether it lies turned,
# with a row for each of its columns instead.
BEGIN, LENGTH, STRIDE, SOURCE, FIELD, TURNED = range(6)

# Columns of Plan.fields: first column among the slots of a sample, how many, where it begins in a list of all fields'
# codes, how many rows of its tables a device has room for, where it begins in a list of all fields' rows, whether it is
# the user's, and its first column among the data set's codes of the user or the item.
FIRST, VALUES, BEFORE, ROOM, ROOM_AT, OF_USER, COLUMN = range(7)

# Columns of Plan.operations: which it is, the value that it gives, and what else its functions in operations read.
CODE, OUT, A, B, C, D, E, F, G, H, J, K, L, M = range(14)
ARGUMENTS = 12  # what it reads

LOOK_UP = 0  # of table A at what there is a row for, in columns from B on
MEAN = 1  # of the clicks A before each sample, in columns from B on
BESIDE = 2  # A, in columns from B on; what is the user's for every sample
TURN = 3  # A, turned so that it lies across, or does so no more
# A, which lies across, by weight C and bias D, plus E of the user; with ReLU if F. B is A turned, which if G it is only
# once backward needs it.
LAYER = 4
USER_LAYER = 5  # A of the user, by weight B, which lies turned, and bias C
SUM = 6  # of the columns of A
ADD = 7  # A and B, of which either may be the user's
SHIFT = 8  # A by parameter B
SECOND_ORDER = 9  # of A in parts of B columns, with room in value C
CROSS = 10  # A plus B times C, element by element, which all lie across
# Of item A to clicks B, with C and D of the hidden layer, by weights E, F, bias G, rooms H, J, K. L is B turned.
ATTEND = 11
INNER = 12  # products of all pairs of parts of B rows of A, which lies across
# Of A, which lies across, and of J of the user, if any, by weight C, with D fields in all, E heads, room in F, G and K.
# B is A turned, which if H it is only once backward needs it.
ATTEND_FIELDS = 13
# Of A, what a unit with weights C and D reads of clicks, and of B, what items seek in the unit's states; a second unit
# with weights G and H reads these by weight E and bias F; room in J, K, L and M.
FOLLOW = 14

# For each of them, the columns that name values, of which backward adds to the gradients, and parameters, which it
# moves; -1 stands for none.
READS_VALUES = (
    *((), (A,), (A,), (A,), (A, E), (A,), (A,), (A, B), (A,), (A,), (A, B, C), (A, B, C, D), (A,), (A, J)),
    (A, B),
)
READS_PARAMETERS = ((A,), (), (), (), (C, D), (B, C), (), (), (B,), (), (), (E, F, G), (), (C,), (C, D, E, F, G, H))
# For some of them, the column of a value whose gradient backward writes, and adds to only where others read it, too.
WRITES = {TURN: A, LAYER: A, CROSS: C, ATTEND_FIELDS: A}


class Plan(NamedTuple):
    """A model for the kernel.

    Attributes:
        operations: int64 (operations, 14), in the order of the forward pass.
        values: int64 (values, 6).
        parameters: int64 (parameters, 6).
        fields: int64 (fields, 7).
        logits: number of the value that holds them.
        published: float32 (n,), all parameters: as in a device's weights, then all tables.
        dense: how many of them are no table's.
    """

    operations: Integers
    values: Integers
    parameters: Integers
    fields: Integers
    logits: int
    published: npt.NDArray[np.float32]
    dense: int
