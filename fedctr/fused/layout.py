"""Where each of a model's values, parameters and fields has its place."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from torch import Tensor

from fedctr.data.dataset import Field, Schema, slices
from fedctr.fused.plan import (
    ARGUMENTS,
    CODE,
    OUT,
    READS_PARAMETERS,
    READS_VALUES,
    ROOM,
    USER_LAYER,
    WRITES,
    B,
    Integers,
    Plan,
)
from fedctr.fused.recorder import Recording
from fedctr.fused.state import Bench, Devices, Training
from fedctr.fused.tiles import FEW, PADDED, Floats, padded
from fedctr.models.layers import Side
from fedctr.models.model import Model
from fedctr.stacking import Parameters


def tuned_rows(side: Side, field: Field, places: int) -> int:
    """Rows of a field's tables that samples at so many places may need."""
    return padded(min(field.cardinality, field.values * (places if side == "item" else 1)))


@dataclass(frozen=True)
class Most:
    """What a device has room for.

    Attributes:
        samples: of a step.
        clicks: that these read.
        train: places of the training part.
        scored: places of the scored part.
    """

    samples: int
    clicks: int
    train: int
    scored: int

    def room(self, side: Side, field: Field) -> int:
        """Rows of a field's tables."""
        scored = self.scored * field.values if side == "item" else 0
        return tuned_rows(side, field, self.train) + min(field.cardinality, scored)


@dataclass(frozen=True, eq=False)
class Layout:
    """The places of a model's values, parameters and fields.

    Attributes:
        plan: for the kernel.
        most: what there is room for.
        shapes: of the parameters, by their names.
        tables: names of those that are tables.
        fields: that the model reads, with their sides.
        columns: how many codes of an item and of a user the model reads.
        values: floats for all values.
        weights: floats for all weights of a device.
        codes: how many of all fields there are.
        representation: number of the value that is the penultimate layer; -1 if there is none to be read.
    """

    plan: Plan
    most: Most
    shapes: dict[str, tuple[int, ...]]
    tables: set[str]
    fields: list[tuple[Side, Field]]
    columns: int
    values: int
    weights: int
    codes: int
    representation: int

    @classmethod
    def of(cls, model: Model, schema: Schema, recording: Recording, most: Most) -> "Layout":
        """Lay out a model's recording."""
        both: tuple[tuple[Side, tuple[Field, ...]], ...] = ("item", schema.item_fields), ("user", schema.user_fields)
        fields = [
            (side, field, where)
            for side, all_fields in both
            for field, where in slices(all_fields)
            if (side, field.name) in model.reads
        ]
        numbers = {(side, field.name): number for number, (side, field, _) in enumerate(fields)}
        rooms = [most.room(side, field) for side, field, _ in fields]
        counts = [field.values for _, field, _ in fields]
        cardinalities = [field.cardinality for _, field, _ in fields]
        # Products go over some rows of clicks more.
        counts_of_rows = 1, padded(most.samples), padded(most.clicks + FEW - 1)
        values, size = [], PADDED
        written = _written(recording)
        for number, value in enumerate(recording.values):
            rows = counts_of_rows[value.kind]
            step = 1 if value.flat else rows if value.across else padded(value.width)
            values.append([value.kind, value.width, size, step, value.across, number in written])
            size += padded(value.width) * rows

        parameters: dict[str, list[int]] = {}
        published, weights = [], 0
        turned = {operation[B] for operation in recording.operations if operation[CODE] == USER_LAYER}
        for number, (name, weight) in enumerate(model.named_parameters()):
            if name in model.embeddings:
                continue
            matrix = weight.detach().numpy().reshape(-1, weight.shape[-1])
            matrix = matrix.T if number in turned else matrix
            stride = padded(matrix.shape[1])
            parameters[name] = [weights, matrix.shape[1], stride, weights, -1, number in turned]
            published.append(np.pad(matrix, ((0, 0), (0, stride - matrix.shape[1]))).ravel())
            weights += len(matrix) * stride
        source = end_of_dense = weights
        weights += PADDED * max([1, *(stride for _, _, stride, *_ in parameters.values())])  # read with the last square
        for name, table in model.embeddings.items():
            number, length = numbers[table.side, table.field], table.weight.shape[1]
            parameters[name] = [weights, length, length, source, number, False]
            published.append(table.weight.detach().numpy().ravel())
            source += table.weight.numel()
            weights += padded(rooms[number] * length)

        shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
        plan = Plan(
            _matrix(recording.operations, 2 + ARGUMENTS),
            _matrix(values, 6),
            _matrix([parameters[name] for name in shapes], 6),
            _matrix(
                zip(
                    _before(counts),
                    counts,
                    _before(cardinalities),
                    rooms,
                    _before(rooms),
                    [side == "user" for side, _, _ in fields],
                    [where.start for _, _, where in fields],
                    strict=True,
                ),
                7,
            ),
            recording.logits,
            # Behind the last one there is room for a vector that begins in it.
            np.concatenate([*published, np.zeros(PADDED, dtype=np.float32)]),
            end_of_dense,
        )

        sides = [(side, field) for side, field, _ in fields]
        columns, codes = sum(counts), sum(cardinalities)
        tables = set(model.embeddings)
        return cls(plan, most, shapes, tables, sides, columns, size, weights, codes, recording.representation)

    def rows(self, places: int) -> Integers:
        """How many rows of each field's tables training may need, int64 (fields,).

        Args:
            places: to which the training parts are padded; so it is the same whoever else is there.
        """
        return np.array([tuned_rows(side, field, places) for side, field in self.fields], dtype=np.int64)

    def training(self, names: Collection[str], rate: float) -> Training:
        """How to move the parameters of these names along their gradients, by steps of a size."""
        trained = [name in names for name in self.shapes]
        moved: set[int] = set()
        wanted = {self.plan.logits}
        operations = self.plan.operations.tolist()
        for operation in operations:
            parameters = [operation[column] for column in READS_PARAMETERS[operation[CODE]]]
            values = [operation[column] for column in READS_VALUES[operation[CODE]]]
            if any(trained[number] for number in parameters if number >= 0) or not moved.isdisjoint(values):
                moved.add(operation[OUT])
        for operation in reversed(operations):
            if operation[OUT] in wanted:
                wanted.update(operation[column] for column in READS_VALUES[operation[CODE]])
        needed = np.array([number in moved and number in wanted for number in range(len(self.plan.values))])
        return Training(np.float32(-rate), np.array(trained), needed)

    def bench(self) -> Bench:
        """A place of work."""
        clicks, samples = max(self.most.samples, self.most.clicks), max(self.most.train, self.most.scored)
        return Bench(
            np.zeros(self.codes, dtype=np.int32),
            aligned_zeros(1, self.values)[0],
            aligned_zeros(1, self.values)[0],
            np.zeros((3, clicks), dtype=np.int64),
            np.zeros((self.most.samples, 2), dtype=np.int64),
            np.zeros(3, dtype=np.int64),
            np.zeros((9, clicks + 1), dtype=np.int64),
            np.arange(samples, dtype=np.int32),
            np.zeros(samples, dtype=np.int32),
            np.zeros(samples, dtype=np.uint64),
            np.zeros(2 * samples + 2, dtype=np.int64),
        )

    def devices(self, count: int) -> Devices:
        """Room for so many devices."""
        fields, places = len(self.plan.fields), self.most.train + self.most.scored
        return Devices(
            aligned_zeros(count, self.weights),
            np.zeros((count, places, self.columns), dtype=np.int32),
            np.zeros((count, places, fields), dtype=np.int32),
            np.zeros((count, self.most.clicks), dtype=np.int32),
            np.zeros((count, places, 2), dtype=np.int32),
            np.zeros((count, int(self.plan.fields[:, ROOM].sum())), dtype=np.int32),
            np.zeros((count, fields), dtype=np.int32),
            np.zeros((count, fields), dtype=np.int32),
        )

    def views(self, weights: Tensor, rows: Integers) -> Parameters:
        """Devices' weights (devices, weights) by the names of the parameters, (devices, *shape).

        Args:
            weights: as the kernel has them.
            rows: int64 (fields,), rows of each field's tables.
        """
        found = {}
        for number, (name, shape) in enumerate(self.shapes.items()):
            begin, length, stride, _, field, turned = self.plan.parameters[number].tolist()
            shape = (int(rows[field]), length) if field >= 0 else shape
            steps = (1, stride) if turned else (stride, 1)[-len(shape) :] if shape else ()
            found[name] = weights.as_strided(
                (len(weights), *shape), (weights.stride(0), *steps), weights.storage_offset() + begin
            )
        return found


def aligned_zeros(rows: int, columns: int) -> Floats:
    """Zeros float32 (rows, at least columns), each row of which begins at a multiple of 64 bytes.

    Behind them there is room for a vector that begins in the last one.
    """
    width = padded(columns)
    room = np.zeros(rows * width + 2 * PADDED, dtype=np.float32)
    first = -room.ctypes.data // room.itemsize % PADDED
    return room[first : first + rows * width].reshape(rows, width)


def _written(recording: Recording) -> set[int]:
    """The values that one operation alone reads, of those that then writes their gradient."""
    readers = Counter(
        operation[column] for operation in recording.operations for column in READS_VALUES[operation[CODE]]
    )
    writers = {operation[WRITES[operation[CODE]]] for operation in recording.operations if operation[CODE] in WRITES}
    return {number for number in writers if readers[number] == 1}


def _matrix(rows: Iterable[Iterable[int]], columns: int) -> Integers:
    return np.array([list(row) for row in rows], dtype=np.int64).reshape(-1, columns)


def _before(sizes: Sequence[int]) -> list[int]:
    """Where each part begins when parts of these sizes stand one after the other."""
    return [0, *accumulate(sizes)][:-1]
