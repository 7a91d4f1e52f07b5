"""Delimited text read at full speed, with every fault traced to its file, line and field."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from fedctr.data.bundle import Bundle
from fedctr.errors import FedctrError


@dataclass(frozen=True)
class Format:
    """How one text file is laid out; it has no quoting.

    Attributes:
        file: its bare name.
        separator: one character between fields.
        columns: our names of the fields, in the order of the file.
        encoding: of the text.
        header: the exact first line, or empty when the file starts with data.
    """

    file: str
    separator: str
    columns: tuple[str, ...]
    encoding: str = "utf-8"
    header: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one file as text, and the way to turn a column into numbers.

    Attributes:
        where: how errors name the file.
        columns: column name to string array (rows,).
        first_line: line number of row 0, counted from 1.
        fallback: what the user can do but mend the file; it ends every error.
    """

    where: str
    columns: dict[str, pa.StringArray]
    first_line: int
    fallback: str

    def fault(self, row: int, field: str, problem: str) -> FedctrError:
        """The error for one row and field, to be raised."""
        return FedctrError(
            f"{self.where}, line {self.line(row)}, field {field}: {problem}; mend it, or {self.fallback}"
        )

    def line(self, row: int) -> int:
        """Line number of a row, counted from 1."""
        return row + self.first_line

    def require(self, field: str, good: npt.NDArray[np.bool_], expected: str) -> None:
        """Refuse the first row that is not good.

        Args:
            field: a column.
            good: bool (rows,).
            expected: completes "found 'abc', expected ...".

        Raises:
            FedctrError: with file, line, field, the value found and the remedy.
        """
        if not good.all():
            row = int(np.argmin(good))
            found = self.columns[field][row].as_py()
            raise self.fault(row, field, f"found {_short(found)}, expected {expected}")

    def whole(self, field: str, low: int, high: int) -> npt.NDArray[np.int64]:
        """A column of whole numbers, int64 (rows,).

        Raises:
            FedctrError: for anything else, or a number outside ``low..high``.
        """
        expected = f"a whole number from {low} to {high}"
        # At most 18 digits always fit into 64 bits.
        self.require(field, self._matches(field, r"^[0-9]{1,18}$"), expected)
        numbers: npt.NDArray[np.int64] = pc.cast(self.columns[field], pa.int64()).to_numpy()
        self.require(field, (numbers >= low) & (numbers <= high), expected)
        return numbers

    def number(self, field: str, low: float, high: float) -> npt.NDArray[np.float64]:
        """A column of plain decimal numbers, float64 (rows,).

        Raises:
            FedctrError: for anything else (NaN and infinity too), or a number outside ``low..high``.
        """
        expected = f"a number from {low:g} to {high:g}"
        self.require(field, self._matches(field, r"^[0-9]{1,9}(\.[0-9]{1,9})?$"), expected)
        numbers: npt.NDArray[np.float64] = pc.cast(self.columns[field], pa.float64()).to_numpy()
        self.require(field, (numbers >= low) & (numbers <= high), expected)
        return numbers

    def _matches(self, field: str, pattern: str) -> npt.NDArray[np.bool_]:
        good: npt.NDArray[np.bool_] = pc.match_substring_regex(self.columns[field], pattern).to_numpy(
            zero_copy_only=False
        )
        return good


def read(bundle: Bundle, form: Format) -> Table:
    """Read one file of a bundle into columns of text.

    Raises:
        FedctrError: when the file is unreadable, empty, wrongly encoded or headed, or a row has too few or
            too many fields.
    """
    where, fallback = bundle.where(form.file), bundle.fallback
    # Blank lines at the end carry nothing; anywhere else they are rows with too few fields.
    text = _decoded(bundle.read(form.file), form.encoding, where, fallback).rstrip("\r\n")
    if not text:
        raise FedctrError(f"{where}: the file is empty; {bundle.remedy}")
    if form.header:
        header, _, text = text.partition("\n")
        if header.rstrip("\r") != form.header:
            raise FedctrError(
                f"{where}, line 1: found {_short(header)}, expected the header {form.header!r}; {bundle.remedy}"
            )
    first_line = 2 if form.header else 1
    return Table(where, _columns(text, form, where, first_line, fallback), first_line, fallback)


def _decoded(data: bytes, encoding: str, where: str, fallback: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FedctrError(
            f"{where}, line {line}: byte 0x{data[error.start]:02x} is not {encoding} text; mend it, or {fallback}"
        ) from error


def _columns(text: str, form: Format, where: str, first_line: int, fallback: str) -> dict[str, pa.StringArray]:
    if not text:
        return {name: pa.array([], pa.string()) for name in form.columns}
    data = text.encode()
    bad: list[csv.InvalidRow] = []

    def stop(row: csv.InvalidRow) -> str:
        bad.append(row)
        return "error"

    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            # A single block on a single thread, since only then does Arrow number the rows.
            csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=form.columns),
            csv.ParseOptions(
                delimiter=form.separator,
                quote_char=False,
                double_quote=False,
                ignore_empty_lines=False,
                invalid_row_handler=stop,
            ),
            csv.ConvertOptions(column_types=dict.fromkeys(form.columns, pa.string())),
        )
    except pa.ArrowInvalid as error:
        if not bad:
            raise FedctrError(f"{where}: {error}; mend it, or {fallback}") from error
        row = bad[0]
        raise FedctrError(
            f"{where}, line {row.number - 1 + first_line}: found {row.actual_columns} fields, expected "
            f"{row.expected_columns} ({', '.join(form.columns)}) in {_short(row.text)}; mend it, or {fallback}"
        ) from error
    return {name: table[name].combine_chunks() for name in form.columns}


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")
