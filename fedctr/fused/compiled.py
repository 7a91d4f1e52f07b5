"""Functions that are compiled to machine code once for each machine, and kept in the user's cache folder."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import platformdirs

Function = TypeVar("Function", bound=Callable[..., object])


def _folder() -> Path:
    """Where machine code is kept: ``$NUMBA_CACHE_DIR``, else the user's cache folder.

    Numba looks at the file of the function that it loads and not at those of the functions which that one calls, so
    the folder is named by the text of all of them.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    root = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("fedctr")) / "kernels"
    texts = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.rglob("*.py")))
    return root / hashlib.sha256(texts).hexdigest()[:16]


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


FOLDER = _folder()
KEPT = _can_be_written(FOLDER)  # elsewhere, every process compiles anew


def is_kept(name: str) -> bool:
    """Whether the machine code of an entry is kept, so that it need not be compiled.

    Args:
        name: of its module and its own, such as ``kernel.fine_tune``, as Numba begins the name of the file.
    """
    return KEPT and any(FOLDER.rglob(f"{name}-*.nbi"))


def entry(function: Function) -> Function:
    """Compile a function that Python calls; like all that it calls, it allocates nothing, and gives nothing back.

    Bounds are not checked. Sums may be reordered, as a function of their length alone: so that they are computed in
    vectors.
    """
    return _compiled(function, {})


def compiled(function: Function) -> Function:
    """Compile a function that only compiled ones call, which takes half of the time."""
    return _compiled(function, {"no_cpython_wrapper": True, "no_cfunc_wrapper": True})


def _compiled(function: Function, options: dict[str, bool]) -> Function:
    configuration, compile_with = cast(Any, numba.config), cast(Any, numba.njit)
    before, configuration.CACHE_DIR = configuration.CACHE_DIR, str(FOLDER)
    try:
        # Where nothing is allocated no references need to be counted, which would take a quarter of the time.
        settings: Any = {
            "cache": KEPT,
            "error_model": "numpy",
            "fastmath": {"reassoc", "contract", "nsz"},
            "_nrt": False,
        }
        return cast(Function, compile_with(**settings, **options)(function))
    finally:
        configuration.CACHE_DIR = before
