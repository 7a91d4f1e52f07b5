"""Quotes that are left open at the end of a line, which would swallow the lines after it."""

import re
from collections.abc import Iterator


def left_open(text: bytes, separator: bytes) -> Iterator[tuple[int, str]]:
    """The lines with an open quote: the place of each, counted from 0, and its text."""
    closed = _closed(separator)
    for place, line in enumerate(text.split(b"\n")):
        if b'"' in line and not closed.fullmatch(line):
            yield place, line.decode()


def spoilt(text: bytes, separator: bytes) -> bytes:
    """The text with each such line turned into a row of a single field, which is a bad one."""
    lines = text.split(b"\n")
    for place, _ in left_open(text, separator):
        lines[place] = lines[place].replace(b'"', b"'").replace(separator, b" ")
    return b"\n".join(lines)


def _closed(separator: bytes) -> re.Pattern[bytes]:
    """Matches a line whose quotes all end: only a quote at the start of a field opens one, and two within are one."""
    between = re.escape(separator)
    field = rb'(?:"(?:[^"]|"")*"(?!")[^%b]*|[^"%b][^%b]*|)' % (between, between, between)
    return re.compile(rb"%b(?:%b%b)*" % (field, between, field))
