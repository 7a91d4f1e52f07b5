"""The one in-memory form of a data set: integer codes, samples sorted by user and time."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedctr.errors import FedctrError

Ints = npt.NDArray[np.int32]
Integers = npt.NDArray[Any]
FILES = ("schema.json", "users.arrow", "items.arrow", "samples.arrow")
# Raise it when Dataset.save writes another form, so that older copies in a cache are built again.
LAYOUT = 1


@dataclass(frozen=True)
class Field:
    """A categorical feature of a user or an item.

    Codes run from 1 to ``cardinality - 1``; code 0 stands for a missing value and pads multi-valued
    fields, which hold ``values`` codes per row (a film's genres, say).
    """

    name: str
    cardinality: int
    values: int = 1


@dataclass(frozen=True)
class Schema:
    """What a model must know of a data set to size its tables.

    The first field of either side is the id itself: ``user_fields[0]`` is the user (row ``u`` has code
    ``u + 1``), ``item_fields[0]`` the item.
    """

    user_fields: tuple[Field, ...]
    item_fields: tuple[Field, ...]

    @property
    def users(self) -> int:
        """Number of users."""
        return self.user_fields[0].cardinality - 1

    @property
    def items(self) -> int:
        """Number of items."""
        return self.item_fields[0].cardinality - 1

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> "Schema":
        """Rebuild the schema that ``dataclasses.asdict`` took apart."""
        sides = ("user_fields", "item_fields")
        return cls(*(tuple(Field(**field) for field in text[side]) for side in sides))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples (impressions) of every user, in the order of time.

    Samples of user ``u`` are the rows ``offsets[u]:offsets[u + 1]``, sorted by time, ties by item.

    Attributes:
        name: the loader's name, as given on the command line.
        schema: fields and cardinalities.
        user_ids: raw ids, strings, (users,).
        item_ids: raw ids, strings, (items,).
        user_codes: int32 (users, columns); the columns of ``schema.user_fields`` side by side.
        item_codes: int32 (items, columns); the columns of ``schema.item_fields`` side by side.
        offsets: int64 (users + 1,).
        item: int32 (samples,), rows of ``item_codes``.
        label: uint8 (samples,), 1 for a positive.
        time: int64 (samples,), seconds.
        bad_rows: how many rows of the official files were malformed, and left out.
        folder: where :meth:`open` found it, for others to memory-map it too; None when it is in memory only.
    """

    name: str
    schema: Schema
    user_ids: pa.Array
    item_ids: pa.Array
    user_codes: Ints
    item_codes: Ints
    offsets: npt.NDArray[np.int64]
    item: Ints
    label: npt.NDArray[np.uint8]
    time: npt.NDArray[np.int64]
    bad_rows: int = 0
    folder: Path | None = None

    @classmethod
    def arranged(
        cls,
        name: str,
        schema: Schema,
        ids: tuple[pa.Array, pa.Array],
        codes: tuple[Ints, Ints],
        samples: Sequence[npt.NDArray[np.generic]],
    ) -> "Dataset":
        """A data set whose samples come in any order.

        Args:
            name: the loader's.
            schema: fields and cardinalities.
            ids: raw ids of users and of items, strings.
            codes: int32 (users, columns) and (items, columns).
            samples: user and item (rows of codes), label (0 or 1) and time (seconds), each (samples,).
        """
        user, item, label, time = samples
        order = _order(user, time, item)
        counts = np.bincount(user, minlength=len(codes[0]))
        return cls(
            name,
            schema,
            *ids,
            *codes,
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            item=item[order].astype(np.int32),
            label=label[order].astype(np.uint8),
            time=time[order].astype(np.int64),
        )

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.offsets) - 1

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.item_codes)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.item)

    @cached_property
    def described(self) -> Ints:
        """``item_codes`` by item code, not by row: row 0 is "nothing here", int32 (items + 1, columns)."""
        return np.concatenate([np.zeros_like(self.item_codes[:1]), self.item_codes])

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over schema, codes, samples and raw ids: equal content, equal hash."""
        digest = hashlib.sha256(json.dumps(asdict(self.schema), sort_keys=True).encode())
        for array in (self.user_codes, self.item_codes, self.offsets, self.item, self.label, self.time):
            digest.update(np.ascontiguousarray(array).data)
        for ids in (self.user_ids, self.item_ids):
            for buffer in ids.buffers():
                digest.update(buffer or b"")
        return digest.hexdigest()

    def check(self) -> None:
        """Refuse what nothing can be learnt from.

        Raises:
            FedctrError: when there is no sample, or all labels are of one class.
        """
        if self.samples == 0:
            left_out = f"; {self.bad_rows:,} malformed rows were left out" if self.bad_rows else ""
            raise FedctrError(f"data set {self.name}: it holds no sample{left_out}")
        positives = int(self.label.sum(dtype=np.int64))
        if positives in (0, self.samples):
            label = int(self.label[0])
            raise FedctrError(
                f"data set {self.name}: all {self.samples:,} labels are {label}; "
                "a click-through rate needs positives and negatives"
            )

    def save(self, folder: Path) -> None:
        """Write uncompressed Arrow files into an existing folder, to be memory-mapped by :meth:`open`."""
        schema = {
            **{"name": self.name, "content_hash": self.content_hash, "bad_rows": self.bad_rows},
            **asdict(self.schema),
        }
        (folder / "schema.json").write_text(json.dumps(schema, indent=1))
        counts = pa.array(np.diff(self.offsets))
        tables = {
            "users": {"id": self.user_ids, "samples": counts, "codes": _rows(self.user_codes)},
            "items": {"id": self.item_ids, "codes": _rows(self.item_codes)},
            "samples": {name: pa.array(getattr(self, name)) for name in ("item", "label", "time")},
        }
        for name, columns in tables.items():
            batch = pa.RecordBatch.from_pydict(columns)
            with pa.ipc.new_file(folder / f"{name}.arrow", batch.schema) as file:
                file.write_batch(batch)

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Memory-map what :meth:`save` wrote; nothing is copied, so clients on one machine share it.

        Raises:
            FedctrError: when a file is missing or cut short.
        """
        for name in FILES:
            if not (folder / name).is_file():
                raise FedctrError(f"{folder / name}: not found; delete the folder to have it built again")
        try:
            text = json.loads((folder / "schema.json").read_text())
            users, items, samples = (
                pa.ipc.open_file(pa.memory_map(str(folder / f"{name}.arrow"))).get_batch(0)
                for name in ("users", "items", "samples")
            )
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FedctrError(f"{folder}: damaged ({error}); delete the folder to have it built again") from error
        dataset = cls(
            name=text["name"],
            schema=Schema.from_json(text),
            user_ids=users["id"],
            item_ids=items["id"],
            user_codes=_matrix(users["codes"]),
            item_codes=_matrix(items["codes"]),
            offsets=np.concatenate([[0], np.cumsum(users["samples"].to_numpy())]).astype(np.int64),
            **{name: samples[name].to_numpy() for name in ("item", "label", "time")},
            bad_rows=text.get("bad_rows", 0),
            folder=folder,
        )
        dataset.__dict__["content_hash"] = text["content_hash"]
        return dataset


def slices(fields: tuple[Field, ...]) -> Iterator[tuple[Field, slice]]:
    """Each field with the columns that it takes up in a matrix of codes."""
    start = 0
    for field in fields:
        yield field, slice(start, start + field.values)
        start += field.values


def _order(user: Integers, time: Integers, item: Integers) -> npt.NDArray[np.intp]:
    """The rows by user, time and item; those that are equal in all three stay in their order."""
    columns = [column - column.min() if len(column) else column for column in (user, time, item)]
    spans = [int(column.max(initial=0)) + 1 for column in columns]
    if math.prod(spans) >= 1 << 64:
        return np.lexsort(columns[::-1])
    # One key is sorted in a tenth of the time that three take.
    key = columns[0].astype(np.uint64)
    for column, span in zip(columns[1:], spans[1:], strict=True):
        key *= np.uint64(span)
        key += column.astype(np.uint64)
    return np.argsort(key, kind="stable")


def _rows(codes: Ints) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(codes).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, codes.shape[1])


def _matrix(column: pa.Array) -> Ints:
    matrix: Ints = column.flatten().to_numpy().reshape(len(column), -1)
    return matrix
