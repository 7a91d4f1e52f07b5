"""What is said of a run folder whose files are not what this version of fedctr writes."""

import importlib.metadata
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import NoneType

from fedctr.errors import FedctrError
from fedctr.folder import read_json

_VALUES = (dict, list, str, int, float, NoneType)  # all that JSON and TOML can put in the place of another value
_MISFIT = re.compile(r"\(\) (missing|takes|got) |is not callable$")  # how Python words a call that does not fit


@contextmanager
def understood(folder: Path) -> Iterator[None]:
    """Read a run folder, whose files another version of fedctr may have written, or anybody changed.

    Raises:
        FedctrError: when they lack what is looked for; it says by which version they were written. Errors that no file
            can cause, but only a mistake in the code, are left as they are.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if _is_mistake(error):
            raise
        told = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        wrote, ours = _version(folder), importlib.metadata.version("fedctr")
        remedy = f"start the run again with --out {folder} to make it anew"
        if wrote and wrote != ours:
            raise FedctrError(
                f"{folder}: was written by fedctr {wrote}, and this is {ours}, which cannot read it ({told}); look at "
                f"it with fedctr {wrote}, or {remedy}"
            ) from error
        raise FedctrError(f"{folder}: damaged ({told}); {remedy}") from error


def _is_mistake(error: Exception) -> bool:
    """Whether the code is wrong, whatever a file says: a call does not fit, or something of ours lacks a name."""
    if isinstance(error, AttributeError):
        return not isinstance(error.obj, _VALUES)
    return isinstance(error, TypeError) and bool(_MISFIT.search(str(error)))


def _version(folder: Path) -> str | None:
    """By which version of fedctr a run was begun, if its folder tells."""
    identity = read_json(folder / "identity.json")
    versions = identity.get("versions") if isinstance(identity, dict) else None
    found = versions.get("fedctr") if isinstance(versions, dict) else None
    return str(found) if found else None
