"""Files of one object a line, in JSON or as a Python literal, read block by block into tables of text."""

import ast
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from fedctr.data.bundle import Bundle
from fedctr.data.reading import Reading
from fedctr.data.table import Table
from fedctr.errors import FedctrError, shown

Kind = Literal["text", "whole", "number", "path"]
_EXPECTED = {
    "text": "a text",
    "whole": "a whole number",
    "number": "a number",
    "path": "a list of texts, or a list of such lists",
}
_ARROW = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64(), "path": pa.list_(pa.string())}
# Stand in for what a bad row lacks: any text that a number can be read from.
_HARMLESS = "0"
# A stretch of code and of strings without escapes in single quotes, which need no look within; then any other string.
_STRINGS = re.compile(
    r"""((?:[^'"]++|'[^'"\\\r\n\0]*+')*+)("(?:[^"\\\r\n\0]|\\[^\r\n\0])*+"|'(?:[^'\\\r\n\0]|\\[^\r\n\0])*+')?"""
)
# Escapes that ``repr`` never writes.
_UNUSUAL = re.compile(r"""\\[^\\'"nrtxuU]""")
# What stands for a value in JSON, or for a blank, but not in Python.
_JSON_ONLY = ("true", "false", "null", "NaN", "Infinity", "\r", "\n")


@dataclass(frozen=True)
class Format:
    """What to take from a file of objects; whatever else they hold is left.

    Attributes:
        file: its bare name.
        needed: keys that every object has, and what stands there: a text, a number, or the path of a category as a list
            of texts (or a list of paths), of which the last text is taken (of the last path).
        optional: keys that may be missing, or null.
        literal: whether an object may also be a Python literal, as ``repr`` writes it.
    """

    file: str
    needed: Mapping[str, Kind]
    optional: Mapping[str, Kind] = field(default_factory=dict)
    literal: bool = False

    @property
    def keys(self) -> dict[str, Kind]:
        """All keys."""
        return {**self.needed, **self.optional}


def blocks(bundle: Bundle, form: Format, reading: Reading) -> Iterator[Table]:
    """One file of a bundle as tables of some megabytes each, at least one, with a column of texts for each key.

    Numbers are decimal texts; a column of an optional key is null where there is nothing. Blank lines carry nothing.

    Raises:
        FedctrError: when the file is unreadable or empty, or, if reading stops at bad rows, a line is no object or
            lacks what it needs.
    """
    first_line, empty = 1, True
    for piece in bundle.pieces(form.file, reading):
        table = _fast(piece, first_line, bundle, form, reading) or _exact(piece, first_line, bundle, form, reading)
        first_line += piece.count(b"\n") + 1
        if len(table.lines):
            yield table
            empty = False
    if empty:
        raise FedctrError(f"{bundle.where(form.file)}: the file is empty; {bundle.remedy}")


def literal(text: str) -> Any:
    """The value of a Python literal, as :func:`ast.literal_eval` finds it, but faster on what ``repr`` writes.

    Raises:
        ValueError: when it is none.
    """
    if not any(token in text for token in _JSON_ONLY):
        plain = '"' not in text and "\\" not in text
        try:
            return json.loads(text.replace("'", '"') if plain else _all_as_json(text))
        except (ValueError, RecursionError):
            pass  # it may be a literal nevertheless: the slow way decides
    return _evaluated(text)


def _all_as_json(text: str) -> str:
    """The text with its strings as JSON writes them.

    Raises:
        ValueError: when a string is not closed.
    """
    parts, end = [], 0
    for match in _STRINGS.finditer(text):
        if match.start() != end:
            raise ValueError("a string that is not closed")
        parts.append(_as_json(match))
        end = match.end()
    return "".join(parts)


def _as_json(match: re.Match[str]) -> str:
    code, string = match[1].replace("'", '"'), match[2]
    if string is None:
        return code
    value = string[1:-1]
    if "\\" in value:
        usual = value.isascii() and not _UNUSUAL.search(value)
        value = value.encode().decode("unicode_escape") if usual else _evaluated(string)
    return code + json.dumps(value, ensure_ascii=False)


def _evaluated(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an escape that Python does not know
            return ast.literal_eval(text)
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError("not a Python literal") from error


def _fast(piece: bytes, first_line: int, bundle: Bundle, form: Format, reading: Reading) -> Table | None:
    """The rows of a piece if it is nothing but regular JSON with all that is needed, else None."""
    try:
        piece.decode()
        read = arrow_json.read_json(
            pa.BufferReader(piece),
            arrow_json.ReadOptions(block_size=len(piece) + 1),
            arrow_json.ParseOptions(
                explicit_schema=pa.schema([(key, _ARROW[kind]) for key, kind in form.keys.items()]),
                unexpected_field_behavior="ignore",
            ),
        )
    except (UnicodeDecodeError, pa.ArrowException):
        return None
    lines = np.arange(first_line, first_line + piece.count(b"\n") + 1)
    whole = {key: read[key].combine_chunks() for key in form.keys}
    lists = [column.flatten() for column in whole.values() if pa.types.is_list(column.type)]
    if len(read) != len(lines) or any(column.null_count for column in [*lists, *(whole[key] for key in form.needed)]):
        return None
    columns = {key: _texts(column) for key, column in whole.items()}
    return Table(bundle.where(form.file), columns, lines, bundle.fallback, reading)


def _texts(column: pa.Array) -> pa.StringArray:
    if not pa.types.is_list(column.type):
        return pc.cast(column, pa.string())
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    return pc.take(column.flatten(), pa.array(np.cumsum(lengths) - 1, mask=lengths == 0))


def _exact(piece: bytes, first_line: int, bundle: Bundle, form: Format, reading: Reading) -> Table:
    """The rows of a piece, line by line, with every fault found."""
    rows = [(number, line) for number, line in enumerate(piece.split(b"\n"), first_line) if line.strip()]
    found = [_parsed(line, form) for _, line in rows]
    columns, faults = {}, {}
    for key, kind in form.keys.items():
        values = [_text(row, key, kind, key in form.needed) for row in found]
        faults[key] = {place: value for place, value in enumerate(values) if isinstance(value, _Fault)}
        columns[key] = pa.array([_HARMLESS if isinstance(value, _Fault) else value for value in values], pa.string())
    lines = np.array([number for number, _ in rows], np.int64)
    table = Table(bundle.where(form.file), columns, lines, bundle.fallback, reading)
    for key, bad in sorted(faults.items(), key=lambda item: min(item[1], default=len(rows))):
        good = np.ones(len(rows), dtype=bool)
        good[list(bad)] = False
        table.refuse(key, good, _problem(bad))
    return table


@dataclass(frozen=True)
class _Fault:
    """Stands where a value should be."""

    problem: str


def _problem(bad: dict[int, _Fault]) -> Callable[[int], str]:
    return lambda place: bad[place].problem


def _parsed(line: bytes, form: Format) -> dict[str, Any] | _Fault:
    try:
        text = line.decode()
        try:
            value = json.loads(text)
        except ValueError:
            if not form.literal:
                raise
            value = literal(text.strip())
    except (ValueError, RecursionError) as error:
        kind = "JSON object" if not form.literal else "JSON object or Python literal"
        detail = "too deep" if isinstance(error, RecursionError) else error
        return _Fault(f"the line is no {kind} ({detail}): {shown(line.decode(errors='backslashreplace'))}")
    return value if isinstance(value, dict) else _Fault(f"the line holds no object: {shown(text)}")


def _text(row: dict[str, Any] | _Fault, key: str, kind: Kind, needed: bool) -> str | _Fault | None:
    if isinstance(row, _Fault):
        return row
    value = row.get(key)
    if value is None:
        return _Fault(f"missing, expected {_EXPECTED[kind]}") if needed else None
    if kind == "path" and isinstance(value, list):
        steps = value[-1] if value and isinstance(value[-1], list) else value
        if all(isinstance(step, str) for step in steps):
            value = steps[-1] if steps else None
            return value if _is_text(value) else _Fault(f"found {shown(repr(value))}, expected {_EXPECTED[kind]}")
    elif (kind == "text" and _is_text(value)) or (kind == "whole" and type(value) is int and abs(value) < 2**63):
        return str(value)
    elif kind == "number" and type(value) in (int, float):
        return repr(value)
    return _Fault(f"found {shown(repr(value))}, expected {_EXPECTED[kind]}")


def _is_text(value: object) -> bool:
    """Whether it is a text that can be kept, so no half of a surrogate pair; or nothing."""
    return value is None or (isinstance(value, str) and not re.search("[\ud800-\udfff]", value))
