"""Who takes part in the personalisation benchmark, and how each is run."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
PATIENCE_SECONDS = 900

Aucs = npt.NDArray[np.float64]
Result = dict[str, Any]  # the content of result.json


@dataclass(frozen=True)
class Competitor:
    """Something that does the work.

    Attributes:
        name: what people type.
        title: what the table says.
        folder: where its run.py is.
        needs: packages; this environment serves where they are installed in it and the folder has none of its own.
        quick: rounds in a quick benchmark.
        full: rounds in a full one.
        options: for run.py.
    """

    name: str
    title: str
    folder: str
    needs: tuple[str, ...]
    quick: int
    full: int
    options: tuple[str, ...] = ()

    @property
    def python(self) -> Path | None:
        """The interpreter to run it with; None if it is not installed."""
        own = HERE / self.folder / ".venv" / "bin" / "python"
        if own.is_file():
            return own
        return Path(sys.executable) if all(map(_installed, self.needs)) else None

    def run(self, workload: Path) -> tuple[Result, Aucs]:
        """Do the work once: what it took, and every user's AUC."""
        with tempfile.TemporaryDirectory() as scratch:
            found = Path(scratch)
            script = HERE / self.folder / "run.py"
            command = [str(self.python), str(script), str(workload), scratch, *self.options]
            process = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
            if process.returncode or not (found / "result.json").is_file():
                sys.exit(f"{self.name} failed:\n{process.stderr[-2000:]}")
            result: Result = json.loads((found / "result.json").read_text(encoding="utf-8"))
            return result, np.load(found / "auc.npy")


# Those that use equally many cores stand side by side.
COMPETITORS = (
    Competitor("loop", "plain PyTorch loop", "loop", ("torch",), 3, 5),
    Competitor("ours", "**fedctr, engine**", "ours", ("fedctr",), 3, 5),
    Competitor("pfl", "pfl-research", "pfl", ("pfl", "torch"), 3, 5),
    Competitor("ours-flower", "**fedctr, through Flower on Ray**", "ours", ("fedctr",), 3, 5, ("--flower",)),
    Competitor("flower", "Flower on Ray, a node per user", "flower", ("flwr", "ray", "torch"), 1, 3),
)


def users_per_second(result: Result) -> float:
    """The rate of one run: by CPU time where a single process did all the work, else by wall time.

    On a quiet machine the two are equal for one thread; on a busy one only the CPU time leaves out what others did.
    """
    seconds: float = result["cpu_seconds" if "cpu_seconds" in result else "seconds"]
    users: int = result["users"]
    return users / seconds


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
