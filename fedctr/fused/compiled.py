"""Functions that are compiled to machine code once for each machine, and kept in the cache folder."""

import hashlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from filelock import FileLock
from numba.core.caching import FunctionCache

from fedctr.data.cache import cache_folder
from fedctr.errors import FedctrError

Function = TypeVar("Function", bound=Callable[..., object])


def kernels_folder() -> Path:
    """Where machine code is kept: in ``$NUMBA_CACHE_DIR``, else with all else in the cache folder.

    Numba looks at the file of the function that it loads and not at those of the functions which that one calls, so
    the folder is named by the text of all of them.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    root = Path(chosen) if chosen else cache_folder() / "kernels"
    texts = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.rglob("*.py")))
    return root / hashlib.sha256(texts).hexdigest()[:16]


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


FOLDER = kernels_folder()
KEPT = _can_be_written(FOLDER)  # elsewhere, every process compiles anew
COMPILING = "compiling the engine for this machine, which takes about a minute, " + (
    "and only once"
    if KEPT
    else f"in each process: {FOLDER} cannot be written; set NUMBA_CACHE_DIR to a folder that can"
)


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
    return _compiled(function, _CompiledElsewhere, {})


def compiled(function: Function) -> Function:
    """Compile a function that only compiled ones call, which takes half of the time."""
    return _compiled(function, FunctionCache, {"no_cpython_wrapper": True, "no_cfunc_wrapper": True})


def compiled_into(function: Function) -> Function:
    """The same, as a part of each that calls it: handing it what it works on would take as long as its work."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    return _compiled(function, FunctionCache, options)


_COMPILER = "FEDCTR_COMPILER"  # tells the process that compiles that it does, and where this package is
_COMPILE = f"""
import os, pickle, sys
from importlib import import_module

sys.path.insert(0, os.environ["{_COMPILER}"])
module, name, kinds = pickle.load(sys.stdin.buffer)
getattr(import_module(module), name).compile(kinds)
"""


class _CompiledElsewhere(FunctionCache):
    """The machine code of an entry that is kept; what is not yet, another process compiles.

    The process that compiles an entry has all functions that it calls twice: compiled by themselves, and once more as
    parts of the entry, where sums may have another order. It would compute with the former; whoever loads the entry has
    the latter alone. So nobody uses what it has compiled, and bits do not depend on who came first. Others who need the
    same meanwhile wait for it.
    """

    def load_overload(self, kinds: Any, target_context: Any) -> Any:
        """Load the code for arguments of these kinds; None in the process that is to compile it.

        Raises:
            FedctrError: when it cannot be compiled, or what was compiled cannot be loaded.
        """
        found = super().load_overload(kinds, target_context)  # type: ignore[no-untyped-call]
        if found is None and not os.environ.get(_COMPILER):
            function = self._py_func
            with FileLock(FOLDER / f"{function.__module__}.{function.__name__}.lock"):
                found = super().load_overload(kinds, target_context)  # type: ignore[no-untyped-call]
                if found is None:
                    _compile_elsewhere(function, kinds)
                    found = super().load_overload(kinds, target_context)  # type: ignore[no-untyped-call]
            if found is None:
                raise FedctrError(
                    f"{FOLDER}: the compiled engine is not kept there; free some space, or set NUMBA_CACHE_DIR to "
                    "another folder"
                )
        return found


def _compile_elsewhere(function: Callable[..., object], kinds: Any) -> None:
    """Have another process compile an entry for arguments of these kinds, and keep it."""
    asked, home = pickle.dumps((function.__module__, function.__name__, kinds)), str(Path(__file__).parents[2])
    command, settings = [sys.executable, "-P", "-c", _COMPILE], {**os.environ, _COMPILER: home}
    done = subprocess.run(command, input=asked, env=settings, stderr=subprocess.PIPE)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        reason = said.rpartition("\n")[2] or f"its process ended with status {done.returncode}"
        if done.returncode < 0:
            reason = f"its process was killed by {signal.Signals(-done.returncode).name}"
        error = FedctrError(
            f"{FOLDER}: the engine cannot be compiled there ({reason}); it takes half a gigabyte of memory and some "
            "megabytes of disk"
        )
        error.add_note(said)
        raise error


def _compiled(function: Function, cache: Callable[[Function], object], options: dict[str, bool]) -> Function:
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
        dispatcher = compile_with(**settings, **options)(function)
        if KEPT:
            dispatcher._cache = cache(function)
        return cast(Function, dispatcher)
    finally:
        configuration.CACHE_DIR = before
