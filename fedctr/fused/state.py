"""What the kernel works on: people, what their devices keep, and the one device that is at work."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fedctr.fused.plan import Integers
from fedctr.fused.tiles import Floats

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]
Labels = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]


class Source(NamedTuple):
    """A data set, where it is; nothing of it can be written to.

    Attributes:
        item: int32 (samples,), rows of ``item_codes`` less one.
        label: uint8 (samples,).
        time: int64 (samples,), ascending from sample to sample of a user.
        item_codes: int32 (items + 1, columns); the first row is for nothing.
        user_codes: int32 (users, columns).
        first_row: of the partition, in the data set.
        held: bool (rows,), whether a training sample of the partition is still held; of length 0 where all are.
        history_length: earlier clicks that a sample's history holds at most.
    """

    item: Numbers
    label: Labels
    time: Integers
    item_codes: Numbers
    user_codes: Numbers
    first_row: int
    held: Flags
    history_length: int


class People(NamedTuple):
    """Some users; each has places for the samples of its training part, and behind them for those to be scored.

    Attributes:
        source: where their samples are.
        users: int64 (users,), rows of the data set.
        start: int64 (users,), first row of the training part.
        train: int64 (users,), samples of it.
        other: int64 (users,), first row of the part to be scored.
        held: int64 (users,), how many samples of the training part the device holds.
        local: int32 (users, samples), places of these.
        scored: int64 (users,), samples to be scored.
        asked: int32 (users, samples), places of these.
    """

    source: Source
    users: Integers
    start: Integers
    train: Integers
    other: Integers
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
        clicks: int32 (devices, clicks), places of the clicks of the training part.
        before: int32 (devices, places, 2), where in these the clicks before each sample begin and end.
        codes: int32 (devices, room of all fields), the code that each row stands for.
        tuned: int32 (devices, fields), how many rows of each field's tables stand for codes of the training part.
        rows: int32 (devices, fields), one after the last row that stands for a code.
    """

    weights: Floats
    slots: Numbers
    present: Numbers
    clicks: Numbers
    before: Numbers
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
        runs: int64 (9, more than the rows), see :mod:`fedctr.fused.operations.runs`.
        plain: int32 (samples,), 0, 1, 2, ...: samples in their own order.
        order: int32 (samples,), room for another order.
        keys: uint64 (samples,), room for what decides on it.
        ranges: int64 (more than twice the samples,), room for how many keys are in each range.
    """

    numbers: Numbers
    values: Floats
    gradients: Floats
    at: Integers
    history: Integers
    rows: Integers
    runs: Integers
    plain: Numbers
    order: Numbers
    keys: Words
    ranges: Integers


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


class Device(NamedTuple):
    """A device in the midst of a step.

    Attributes:
        weights: float32 (weights,), its private copies.
        moved: float32 (weights,), what backward adds to.
        scale: times which factor.
        trained: bool (parameters,), which of them are moved.
        needed: bool (values,), whose gradient is needed.
        values: float32 (size,), of the plan's values, from where each begins.
        gradients: float32 (size,), likewise.
        slots: int32 (places, columns), which row of its tables the codes of each of its samples are.
        present: int32 (places, fields), how many codes of each field are there; they come first.
        clicks: int32 (clicks,), places of the clicks of the training part.
        before: int32 (places, 2), where in these the clicks before each sample begin and end.
        at: int64 (3, n), the places of what there is a row for.
        history: int64 (n, 2), first and last but one of the clicks before each sample, among the rows for clicks.
        rows: int64 (3,), how many rows there are for each kind.
        runs: int64 (9, n), the clicks that samples read one after the other; see :mod:`fedctr.fused.operations.runs`.
    """

    weights: Floats
    moved: Floats
    scale: np.float32
    trained: npt.NDArray[np.bool_]
    needed: npt.NDArray[np.bool_]
    values: Floats
    gradients: Floats
    slots: Numbers
    present: Numbers
    clicks: Numbers
    before: Numbers
    at: Integers
    history: Integers
    rows: Integers
    runs: Integers
