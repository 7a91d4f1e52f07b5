"""Logs of one's own, as csv or Parquet, with a small file that says which column is what.

``--path`` is a folder with the files and ``fedctr.toml``, or a single file ``log.csv`` with ``log.toml`` beside it. Six
lines will do; what is left out has the defaults of :class:`~fedctr.data.mapping.Mapping`::

    samples = "clicks.csv"
    user = "visitor"
    item = "article"
    time = "at"
    time_unit = "iso"
    label = "clicked"

Users and items may have features, in columns of the samples or of a file of their own::

    [users]
    file = "visitors.csv"
    id = "visitor"
    columns.country = "category"
    columns.age = { buckets = 5 }

    [items.columns]
    topics = { separator = "|" }

Every row is an impression; the same item on the same user may come again. Whoever is not described, or with a blank
value, has a missing value. Users and items stand in the ascending order of their ids as text.
"""

import difflib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from fedctr.data.bundle import Bundle
from fedctr.data.coding import LATEST, Whole
from fedctr.data.dataset import Dataset, Schema
from fedctr.data.described import Described
from fedctr.data.header import headed, require_columns
from fedctr.data.loader import Loader
from fedctr.data.mapping import FILE, Mapping, Side
from fedctr.data.reading import Reading
from fedctr.data.table import Table, blocks
from fedctr.errors import FedctrError
from fedctr.progress import Reporter, Silent

_RATING = 1e30
_ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[-+][0-9]{2}:?[0-9]{2})?)?$"
_POSITIVE = pa.array(["1", "1.0", "true"])
_NEGATIVE = pa.array(["0", "0.0", "false"])
_BATCH = 1 << 18  # rows of a Parquet file that are read at once


@dataclass(frozen=True)
class _Found:
    """The files of a log."""

    bundle: Bundle
    mapping: Mapping
    mapping_file: str
    samples: str

    @property
    def named_in(self) -> str:
        return self.bundle.where(self.mapping_file)

    @property
    def sides(self) -> tuple[tuple[Side, str], tuple[Side, str]]:
        """What describes users, and items, with the columns of ids."""
        users, items = self.mapping.users, self.mapping.items
        return (users, users.id or self.mapping.user), (items, items.id or self.mapping.item)


@dataclass(frozen=True)
class OwnLog(Loader):
    """What the two formats share; they differ in how a file becomes tables of text."""

    @abstractmethod
    def tables(self, found: _Found, file: str, wanted: Sequence[str], reading: Reading) -> Iterator[Table]:
        """One file as tables that have the wanted columns, as text, blank where there is nothing.

        Raises:
            FedctrError: when it is unreadable or lacks a column, and for a malformed row if reading stops at these.
        """

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        """Read the mapping, the samples, and then the files that describe users and items.

        Raises:
            FedctrError: for a fault of the mapping, with file and key; for a missing file or column; and for a
                malformed row unless these are skipped, with file, line, field and remedy.
        """
        assert path is not None, "only generators are read without a path"
        found = _find(path)
        mapping = found.mapping
        users, items = (
            Described(identity, side.columns) for identity, side in (("user", mapping.users), ("item", mapping.items))
        )
        sides = list(zip((users, items), found.sides, strict=True))
        within = [described for described, (side, _) in sides if side.file is None]
        wanted = [mapping.user, mapping.item, mapping.time, mapping.label]
        wanted += [name for described in within for name in described.columns]
        parts = []
        for table in self.tables(found, found.samples, wanted, reading):
            user, item = users.number(table, mapping.user), items.number(table, mapping.item)
            time, label = _times(table, mapping), _labels(table, mapping)
            for described, ids in ((users, user), (items, item)):
                if described in within:
                    described.learn(table, ids)
            parts.append(table.kept(user.astype(np.int32), item.astype(np.int32), label, time))
        user, item, label, time = (np.concatenate(column) for column in zip(*parts, strict=True))
        for described, (side, id_column) in sides:
            if side.file is not None:
                for table in self.tables(found, side.file, [id_column, *described.columns], reading):
                    described.learn(table, described.number(table, id_column))
        user_ids, user_rows, user_fields, user_codes = users.finished(user)
        item_ids, item_rows, item_fields, item_codes = items.finished(item)
        return Dataset.arranged(
            self.name,
            Schema(user_fields, item_fields),
            (user_ids, item_ids),
            (user_codes, item_codes),
            (user_rows[user], item_rows[item], label, time),
        )

    def inputs(self, path: Path) -> list[Path]:
        """The mapping, and the files that it names; or the archive."""
        found = _find(path)
        sides = [side.file for side, _ in found.sides if side.file is not None]
        return found.bundle.paths(dict.fromkeys([found.mapping_file, found.samples, *sides]))


@dataclass(frozen=True)
class Csv(OwnLog):
    """Your own log as csv: a header, columns in any order, quotes where needed; see fedctr/data/own_log.py.

    A quoted field may hold separators, but no line breaks.
    """

    name: ClassVar[str] = "csv"

    def tables(self, found: _Found, file: str, wanted: Sequence[str], reading: Reading) -> Iterator[Table]:
        """The blocks of a csv file."""
        form = headed(found.bundle, file, found.mapping.separator, wanted, found.named_in)
        return blocks(found.bundle, form, reading)


@dataclass(frozen=True)
class Parquet(OwnLog):
    """Your own log as Parquet, with the same mapping as csv; see fedctr/data/own_log.py.

    Columns may have any type that Arrow writes as text; with ``time_unit = "iso"`` also timestamps.
    """

    name: ClassVar[str] = "parquet"

    def tables(self, found: _Found, file: str, wanted: Sequence[str], reading: Reading) -> Iterator[Table]:
        """The batches of a Parquet file."""
        bundle, where = found.bundle, found.bundle.where(file)
        if not bundle.path.is_dir():
            raise FedctrError(f"{where}: Parquet is read from a folder; unpack {bundle.path}")
        columns, first = list(dict.fromkeys(wanted)), 1
        try:
            with parquet.ParquetFile(bundle.paths([file])[0]) as content:
                require_columns(where, content.schema_arrow.names, columns, found.named_in)
                reporter: Reporter = reading.reporter if content.metadata.num_rows > _BATCH else Silent()
                reporter.phase(f"reading {file} (rows)", content.metadata.num_rows)
                yield Table(where, dict.fromkeys(columns, pa.array([], pa.string())), *_rows(1, 0), reading, "row")
                for batch in content.iter_batches(_BATCH, columns=columns):
                    texts = {name: _text(batch.column(name), name) for name in columns}
                    yield Table(where, texts, *_rows(first, batch.num_rows), reading, "row")
                    first += batch.num_rows
                    reporter.advance(batch.num_rows)
                reporter.finish()
        except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
            said = " ".join(str(error).split())
            raise FedctrError(f"{where}: not a readable Parquet file of plain columns ({said})") from error


def _rows(first: int, count: int) -> tuple[Whole, str]:
    return np.arange(first, first + count), "mend the file that it was made from"


def _text(column: pa.Array, name: str) -> pa.StringArray:
    try:
        return pc.cast(column, pa.string()).fill_null("")
    except pa.ArrowException as error:
        raise ValueError(f"field {name}, of type {column.type}: {error}") from error


def _find(path: Path) -> _Found:
    wanted = f"{FILE} and the files that it names"
    if path.suffix == ".toml":
        raise FedctrError(f"{path}: says what the columns are; give the folder with the log, or the log itself")
    bundle, samples, mapping_file = Bundle(path, wanted, "see 'Your own log' in README.md"), None, FILE
    if not path.is_dir() and bundle.missing([FILE]) and path.suffix != ".zip":
        [samples] = bundle.files
        mapping_file = f"{Path(samples).stem}.toml"
        bundle = Bundle(path.parent, wanted, bundle.fallback)
        if bundle.paths([samples]) != [path]:
            raise FedctrError(f"{path}: there is also {bundle.where(samples)}; keep one of them")
    if bundle.missing([mapping_file]):
        beside = f", or give the folder, which holds {FILE}" if FILE in bundle.files else ""
        raise FedctrError(f"{bundle.where(mapping_file)}: not found; write it as README.md shows{beside}")
    where = bundle.where(mapping_file)
    mapping = Mapping.parse(b"".join(bundle.chunks(mapping_file, Reading())), where)
    if samples is not None and mapping.samples not in (None, samples):
        raise FedctrError(f"{where}: samples: found {mapping.samples!r}, but --path is {samples}; leave out the key")
    samples = samples or mapping.samples
    if samples is None:
        raise FedctrError(f"{where}: it lacks the key 'samples'; add a line such as samples = \"log.csv\"")
    needed = [samples, *(side.file for side in (mapping.users, mapping.items) if side.file is not None)]
    if missing := bundle.missing(needed):
        close = difflib.get_close_matches(missing[0], bundle.files, n=1, cutoff=0.75)
        near = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(bundle.files)}"
        raise FedctrError(f"{bundle.path}: it lacks {missing[0]!r}, which {where} names{near}"[:600])
    return _Found(bundle, mapping, mapping_file, samples)


def _times(table: Table, mapping: Mapping) -> Whole:
    name = mapping.time
    if mapping.time_unit == "seconds":
        return table.whole(name, 0, LATEST)
    if mapping.time_unit == "milliseconds":
        return table.whole(name, 0, LATEST * 1000) // 1000
    column = table.columns[name]
    matching = pc.match_substring_regex(column, _ISO)
    read = pd.to_datetime(pc.if_else(matching, column, None).to_pandas(), format="ISO8601", utc=True, errors="coerce")
    known = read.notna().to_numpy()
    table.require(name, known, "a time such as 2026-11-25T08:00:00+08:00")
    return np.where(known, pd.DatetimeIndex(read).as_unit("s").asi8, 0)


def _labels(table: Table, mapping: Mapping) -> npt.NDArray[np.uint8]:
    if mapping.positive_from is not None:
        rating = table.number(mapping.label, -_RATING, _RATING, scientific=True)
        good: npt.NDArray[np.bool_] = rating >= mapping.positive_from
        return good.astype(np.uint8)
    lowered = pc.utf8_lower(table.columns[mapping.label])
    positive, negative = (pc.is_in(lowered, texts).to_numpy(zero_copy_only=False) for texts in (_POSITIVE, _NEGATIVE))
    expected = "0 or 1, or a rating if the key positive_from is set"
    table.require(mapping.label, positive | negative, expected)
    labels: npt.NDArray[np.uint8] = positive.astype(np.uint8)
    return labels
