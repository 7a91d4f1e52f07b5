"""Files that name their own columns."""

import csv
import difflib
from collections.abc import Sequence

from fedctr.data.bundle import Bundle
from fedctr.data.reading import Reading
from fedctr.data.table import Format
from fedctr.errors import FedctrError, shown


def headed(bundle: Bundle, file: str, separator: str, wanted: Sequence[str], named_in: str) -> Format:
    """The layout of a file of quoted fields whose first line names its columns, in any order and with any others.

    Args:
        bundle: holds the file.
        file: its bare name.
        separator: between fields.
        wanted: columns that it must have.
        named_in: the file that names them, for errors.

    Raises:
        FedctrError: when the file is unreadable or empty, or its first line lacks a column, or has it twice.
    """
    where, first = bundle.where(file), b""
    for chunk in bundle.chunks(file, Reading()):
        first += chunk
        if b"\n" in first:
            break
    line = first.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    if b"\0" in line:
        raise FedctrError(f"{where}, line 1: found a NUL byte, so this is no text in UTF-8; save it as UTF-8")
    header = line.decode("utf-8", "backslashreplace").rstrip("\r")
    if not header.strip():
        raise FedctrError(f"{where}: it starts without a header; {bundle.remedy}")
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=separator))]
    except csv.Error as error:
        raise FedctrError(
            f"{where}, line 1: no header of one line ({shown(header)}); save the file with Unix line ends"
        ) from error
    require_columns(f"{where}, line 1", names, wanted, named_in)
    columns: list[str] = []
    for name in names:
        while name in columns:
            name += "'"
        columns.append(name)
    return Format(file, separator, tuple(columns), header=header, quoted=True)


def require_columns(where: str, found: Sequence[str], wanted: Sequence[str], named_in: str) -> None:
    """Refuse a file that lacks a column, or has it twice; the arguments are those of :func:`headed`."""
    for name in wanted:
        if name not in found:
            near = difflib.get_close_matches(name, found, n=3, cutoff=0.4)
            there = ", ".join(map(repr, found[:20]))
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {there}"
            if len(found) == 1:
                hint = f"it has {there} only; is another separator meant?"
            raise FedctrError(f"{where}: no column is named {name!r}; {hint}; mend {named_in}")
        if list(found).count(name) > 1:
            raise FedctrError(f"{where}: two columns are named {name!r}; rename one")
