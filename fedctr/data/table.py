"""Delimited text read block by block at full speed, with every fault traced to its file, line and field."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from fedctr.data.bundle import Bundle
from fedctr.data.reading import Reading
from fedctr.errors import FedctrError, shown

Bools = npt.NDArray[np.bool_]
Lines = npt.NDArray[np.int64]
_NONE = pa.array([], pa.string())
_PLAIN = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
_UNIT = b"\x1f"  # stands for a separator of several characters, which Arrow does not know


@dataclass(frozen=True)
class Format:
    """How one text file is laid out.

    Attributes:
        file: its bare name.
        separator: between fields.
        columns: our names of the fields, in the order of the file.
        encoding: of the text.
        header: the first line, or empty when the file starts with data. Blanks at its end do not matter.
        quoted: whether a field may stand in double quotes, which are doubled within.
    """

    file: str
    separator: str
    columns: tuple[str, ...]
    encoding: str = "utf-8"
    header: str = ""
    quoted: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of one file as text, and the way to turn a column into numbers.

    If bad rows are skipped, one that is found bad stays in place, with some harmless value in columns of numbers, until
    :meth:`kept` leaves it out.

    Attributes:
        where: how errors name the file.
        columns: column name to string array (rows,).
        lines: line number of each row, counted from 1, int64 (rows,).
        fallback: what the user can do but mend the file or skip the row; it ends every error.
        reading: what becomes of bad rows.
        unit: what is counted in ``lines``, for errors.
        good: bool (rows,), False for the rows that were found bad.
    """

    where: str
    columns: dict[str, pa.StringArray]
    lines: Lines
    fallback: str
    reading: Reading
    unit: str = "line"
    good: Bools = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "good", np.ones(len(self.lines), dtype=bool))

    def kept(self, *columns: npt.NDArray[np.generic]) -> list[npt.NDArray[np.generic]]:
        """Columns (rows, ...) without the rows that were found bad."""
        return list(columns) if self.good.all() else [column[self.good] for column in columns]

    def refuse(self, name: str, good: Bools, problem: Callable[[int], str]) -> None:
        """Refuse the rows that are not good.

        Args:
            name: the column at fault.
            good: bool (rows,).
            problem: says what is wrong with a row.

        Raises:
            FedctrError: for the first, with file, line, field and remedy, if reading stops at bad rows.
        """
        fresh = np.flatnonzero(self.good & ~good)
        if len(fresh):
            row = int(fresh[0])
            what = f"{self.where}, {self.unit} {self.lines[row]}, field {name}: {problem(row)}"
            self.good[fresh] = False
            self.reading.refuse(FedctrError(f"{what}; {_remedy(self.fallback)}"), len(fresh))

    def require(self, name: str, good: Bools, expected: str) -> None:
        """Refuse the rows that are not good; ``expected`` completes "found 'abc', expected ..."."""
        column = self.columns[name]
        self.refuse(name, good, lambda row: f"found {shown(column[row].as_py())}, expected {expected}")

    def whole(self, name: str, low: int, high: int, missing: tuple[str, ...] = ()) -> npt.NDArray[np.int64]:
        """A column of whole numbers, int64 (rows,); anything else, or outside ``low..high``, is refused.

        The texts that stand for a missing value become ``low - 1``.
        """
        expected = f"a whole number from {low} to {high}"
        # At most 18 digits always fit into 64 bits.
        return self._numbers(name, r"^-?[0-9]{1,18}$", 18, pa.int64(), low, high, expected, missing, low - 1)

    def number(
        self, name: str, low: float, high: float, missing: tuple[str, ...] = (), scientific: bool = False
    ) -> npt.NDArray[np.float64]:
        """A column of decimal numbers, float64 (rows,); anything else (NaN too), or outside, is refused.

        Args:
            name: the column.
            low: the least that is accepted.
            high: the most that is accepted.
            missing: the texts that stand for a missing value; they become NaN.
            scientific: accept signs and exponents too.
        """
        expected = f"a number from {low:g} to {high:g}"
        pattern = r"^[-+]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][-+]?[0-9]{1,2})?$" if scientific else _PLAIN
        return self._numbers(name, pattern, 9, pa.float64(), low, high, expected, missing, np.nan)

    def _numbers(
        self,
        name: str,
        pattern: str,
        digits: int,
        kind: pa.DataType,
        low: float,
        high: float,
        expected: str,
        missing: tuple[str, ...],
        absent: float,
    ) -> npt.NDArray[Any]:
        column = readable = self.columns[name]
        good = np.ones(len(column), dtype=bool)
        if not _are_digits(column, digits):
            matching = pc.match_substring_regex(column, pattern)
            good = matching.to_numpy(zero_copy_only=False)
            readable = column if good.all() else pc.if_else(matching, column, "0")
        numbers: npt.NDArray[Any] = pc.cast(readable, kind).to_numpy()
        good = good & (numbers >= low) & (numbers <= high)
        if missing:
            gone = pc.is_in(column, pa.array(missing)).to_numpy(zero_copy_only=False)
            numbers, good = np.where(gone, numbers.dtype.type(absent), numbers), good | gone
        self.require(name, good, expected)
        return numbers


def _are_digits(column: pa.StringArray, most: int) -> bool:
    """Whether every text is 1 to ``most`` digits: true of nearly all columns, and far quicker than a pattern."""
    _, offsets, text = column.buffers()
    if not len(column) or text is None:
        return False
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(ends)
    # Below "0" the difference wraps round to a large number.
    digits = np.frombuffer(text, np.uint8)[ends[0] : ends[-1]] - np.uint8(ord("0")) < 10
    return bool(lengths.min() >= 1 and lengths.max() <= most and digits.all())


def read(bundle: Bundle, form: Format, reading: Reading) -> Table:
    """One file of a bundle as a single table, for files that fit into memory as text.

    Raises:
        FedctrError: as :func:`blocks`.
    """
    tables = list(blocks(bundle, form, reading))
    columns = {name: pa.concat_arrays([table.columns[name] for table in tables]) for name in form.columns}
    lines = np.concatenate([table.lines for table in tables])
    return Table(bundle.where(form.file), columns, lines, bundle.fallback, reading)


def blocks(bundle: Bundle, form: Format, reading: Reading) -> Iterator[Table]:
    """One file of a bundle as tables of some megabytes each, at least one.

    Raises:
        FedctrError: when the file is unreadable, empty or wrongly headed, or, if reading stops at bad rows, a row is
            wrongly encoded or has too few or too many fields.
    """
    where, line = bundle.where(form.file), 1
    pieces = bundle.pieces(form.file, reading)
    first: bytes | None = next(pieces, None)
    if first is None:
        raise FedctrError(f"{where}: the file is empty; {bundle.remedy}")
    if form.header:
        found, more, rows = first.partition(b"\n")
        header = found.decode(form.encoding, "backslashreplace").rstrip()
        if header != form.header.rstrip():
            raise FedctrError(
                f"{where}, line 1: found {shown(header)}, expected the header {form.header!r}; {bundle.remedy}"
            )
        first, line = rows if more else None, 2
    for piece in chain([first], pieces):
        if piece is None:
            yield Table(where, dict.fromkeys(form.columns, _NONE), np.array([], np.int64), bundle.fallback, reading)
            continue
        text, lines = _sound(piece, form, where, line, bundle.fallback, reading)
        columns, lines = _columns(text, lines, form, where, bundle.fallback, reading)
        yield Table(where, columns, lines, bundle.fallback, reading)
        line += piece.count(b"\n") + 1


def _sound(
    piece: bytes, form: Format, where: str, first_line: int, fallback: str, reading: Reading
) -> tuple[bytes, Lines]:
    """The text in UTF-8, without lines that a parser would not take for one row each; and the numbers of the others."""
    lines = np.arange(first_line, first_line + piece.count(b"\n") + 1)
    if not _is_suspect(piece, form):
        return piece if form.encoding == "utf-8" else piece.decode(form.encoding).encode(), lines
    rows = piece.split(b"\n")
    problems = [_problem(row, form) for row in rows]
    bad = [row for row, problem in enumerate(problems) if problem]
    if bad:
        what = f"{where}, line {lines[bad[0]]}: {problems[bad[0]]}"
        reading.refuse(FedctrError(f"{what}; {_remedy(fallback)}"), len(bad))
    good = [row.decode(form.encoding).encode() for row, problem in zip(rows, problems, strict=True) if not problem]
    return b"\n".join(good), np.delete(lines, bad)


def _is_suspect(piece: bytes, form: Format) -> bool:
    if b"\0" in piece or (form.quoted and b'"' in piece):
        return True
    if piece.count(b"\r") != piece.count(b"\r\n") + piece.endswith(b"\r"):
        return True
    try:
        piece.decode(form.encoding)
    except UnicodeDecodeError:
        return True
    return False


def _problem(line: bytes, form: Format) -> str:
    """Why one line is no row, or nothing."""
    try:
        text = line.decode(form.encoding)
    except UnicodeDecodeError as error:
        return f"byte 0x{line[error.start]:02x} is not {form.encoding} text"
    text = text.removesuffix("\r")
    if "\r" in text:
        return "a carriage return within the line"
    if "\0" in text:
        return f"a NUL byte in {shown(text)}"
    if form.quoted and '"' in text:
        separator = re.escape(form.separator)
        field = f'(?:"(?:[^"]|"")*"|[^"{separator}]*)'
        if not re.fullmatch(f"{field}(?:{separator}{field})*", text):
            return f"a quote out of place in {shown(text)}"
    return ""


def _columns(
    text: bytes, lines: Lines, form: Format, where: str, fallback: str, reading: Reading
) -> tuple[dict[str, pa.StringArray], Lines]:
    """The fields of whole lines that have these numbers, and the line number of each row."""
    if not len(lines):
        return dict.fromkeys(form.columns, _NONE), lines
    separator = form.separator.encode()
    if len(separator) > 1:
        text, separator = text.replace(separator, _UNIT), _UNIT
    text += b"\n"
    bad: list[csv.InvalidRow] = []

    def invalid(row: csv.InvalidRow) -> str:
        bad.append(row)
        return "error" if reading.on_bad_row == "stop" else "skip"

    def fault() -> FedctrError:
        found = bad[0].text.replace(_UNIT.decode(), form.separator)
        return FedctrError(
            f"{where}, line {lines[bad[0].number - 1]}: found {bad[0].actual_columns} fields, expected "
            f"{bad[0].expected_columns} ({', '.join(form.columns)}) in {shown(found)}; {_remedy(fallback)}"
        )

    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            # A single block on a single thread, since only then does Arrow number the rows.
            csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=form.columns),
            csv.ParseOptions(
                delimiter=separator.decode(),
                quote_char='"' if form.quoted else False,
                double_quote=form.quoted,
                ignore_empty_lines=False,
                invalid_row_handler=invalid,
            ),
            csv.ConvertOptions(column_types=dict.fromkeys(form.columns, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if not bad:
            raise FedctrError(f"{where}: {error}; {_remedy(fallback)}") from error
        raise fault() from error
    if bad:
        reading.refuse(fault(), len(bad))
    kept = np.delete(lines, [row.number - 1 for row in bad]) if bad else lines
    return {name: table[name].combine_chunks() for name in form.columns}, kept


def _remedy(fallback: str) -> str:
    return f"mend it, pass --on-bad-row skip, or {fallback}"
