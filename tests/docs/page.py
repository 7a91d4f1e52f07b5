"""What a page of the documentation has its reader do.

A fence of ``sh`` or ``python`` is to be run; one with a title is the file of that name. A comment before a fence may
say ``<!-- not run: reason -->``, or ``<!-- fails -->``: then the fence of text after it is what the command says.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "pages").rglob("*.md"))]

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>not run|fails)(?:: (?P<reason>.+?))? -->\n)?"
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$"
    r"(?:\n```text\n(?P<said>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    name: str
    text: str


@dataclass(frozen=True)
class Program:
    """Python that the reader runs."""

    text: str


@dataclass(frozen=True)
class Command:
    """A line for the shell.

    Attributes:
        line: the line, its continuations joined.
        fails_with: what it says on standard error as it fails; None if it must not fail.
    """

    line: str
    fails_with: str | None = None

    @property
    def words(self) -> list[str]:
        """The line as the shell splits it, without its comment."""
        return shlex.split(self.line, comments=True)


Step = File | Program | Command


def steps_of(page: str, *, also_not_run: bool = False) -> Iterator[Step]:
    """Everything that the page has a reader do, in its order; what no test runs only if asked for.

    Raises:
        ValueError: for a fence that is not run without a reason, or that should fail without a message.
    """
    for fence in _FENCE.finditer(page):
        body = fence["body"]
        not_run = fence["mark"] == "not run"
        if not_run and not fence["reason"]:
            raise ValueError(f"not run, and no reason: {body}")
        if not_run and not also_not_run:
            continue
        if fence["title"]:
            yield File(fence["title"], body)
        elif fence["language"] == "python":
            yield Program(body)
        elif fence["language"] == "sh":
            fails = fence["mark"] == "fails"
            if fails and not fence["said"]:
                raise ValueError(f"fails, and no message: {body}")
            lines = re.sub(r"\\\n\s*", "", body).splitlines()
            yield from (Command(line, fence["said"].strip() if fails else None) for line in lines if line)
