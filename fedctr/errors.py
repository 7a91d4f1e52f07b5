"""The one exception that users see."""

import difflib
from collections.abc import Iterable

# How like another name is: it may be meant, or all but certainly is, with a letter wrong.
NEAR, SLIP = 0.4, 0.8


class FedctrError(Exception):
    """A mistake that the user can mend: one line that says where, what and how to mend it.

    The command line prints the message without a traceback and leaves with exit code 2.
    """


def shown(value: object) -> str:
    """A value as errors show it: quoted, and cut short."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def did_you_mean(name: str, known: Iterable[str], likeness: float = NEAR) -> str:
    """The known names that are nearest to an unknown one, as a question; empty if none is as like it, from 0 to 1."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=likeness)
    return f"did you mean {' or '.join(near)}?" if near else ""
