"""What the kernel works on: people, what their devices keep, and the one device that is at work."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fedctr.fused.plan import Integers
from fedctr.fused.products import Floats

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]


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
        at: int64 (3, n), the places of what there is a row for.
        history: int64 (n, 2), first and last but one of the clicks before each sample, among the rows for clicks.
        rows: int64 (3,), how many rows there are for each kind.
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
    at: Integers
    history: Integers
    rows: Integers
