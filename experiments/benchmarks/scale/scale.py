"""Runs large populations through the whole of fedctr, and says what it took.

python experiments/benchmarks/scale/scale.py [EXPERIMENT.toml ...]

Needs Linux, for memory is read from /proc. Without arguments: ten thousand users of experiments/scale.toml, the size of
MovieLens-20M, and a million users. The data sets are generated beforehand, off the clock; global models are trained
anew, on the clock. Writes ../results/scale.md.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from fedctr import Experiment, open_dataset
from fedctr.data.cache import cache_folder
from fedctr.fused.compiled import FOLDER

EXPERIMENTS = Path(__file__).resolve().parents[2]
RESULTS = EXPERIMENTS / "benchmarks" / "results"
TESTED = re.compile(r"test: .* took (?P<seconds>[\d.]+) s$")
HEADER = (
    "| data set | users | samples | wall time | until the global model is trained | fine-tuning and scoring | users/s |"
    " peak memory |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Took:
    """What one run took.

    Attributes:
        users: users, each of them once for every strategy.
        samples: samples of all users.
        strategies: how many.
        wall: seconds from the command to its prompt.
        cloud: seconds from the command until the global model was trained, with imports and the opening of the data.
        test: seconds in which clients fine-tuned and scored.
        peak: bytes of memory, over all processes, pages that several share counted once.
    """

    users: int
    samples: int
    strategies: int
    wall: float
    cloud: float
    test: float
    peak: int

    def row(self, name: str) -> str:
        """A line of the table."""
        rate = self.users * self.strategies / self.test
        cells = (
            name, f"{self.users:,}", f"{self.samples:,}", f"{self.wall:.0f} s", f"{self.cloud:.0f} s",
            f"{self.test:.0f} s", f"{rate:,.0f}", f"{self.peak / 1e9:.2f} GB",
        )  # fmt: skip
        return f"| {' | '.join(cells)} |\n"


def small(folder: Path) -> Path:
    """Ten thousand users of the largest experiment."""
    values = Experiment.read(EXPERIMENTS / "scale.toml")
    values["dataset"] = values["dataset"].replace("users=1000000", "users=10000")
    file = folder / "ten-thousand.toml"
    file.write_text(tomli_w.dumps(values), encoding="utf-8")
    return file


def compile_engine(scratch: Path) -> None:
    """Have fedctr run once, so that the engine is compiled and kept before anything is timed."""
    command = [str(Path(sys.executable).with_name("fedctr")), "bench", "--dataset", "synthetic[users=50]"]
    options = ["--model", "lr", "--seeds", "1", "--backend", "inline", "--quiet", "--out", str(scratch / "first")]
    subprocess.run(command + options, stdout=subprocess.DEVNULL, check=True)


def run(file: Path, scratch: Path) -> Took:
    """One run in a process of its own, with an empty cache of models."""
    experiment = Experiment.of(Experiment.read(file), str(file))
    dataset = open_dataset(experiment.dataset)
    out = scratch / file.stem
    models = scratch / f"{file.stem}-cache"  # the data sets of the user's cache, and no model yet
    models.mkdir()
    (models / "datasets").symlink_to(cache_folder() / "datasets")
    command = [str(Path(sys.executable).with_name("fedctr")), "bench", str(file), "--out", str(out)]
    begun = time.time()
    places = {"FEDCTR_CACHE": str(models), "NUMBA_CACHE_DIR": str(FOLDER.parent)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **places}) as process:
        memory = Memory(process.pid)
        memory.start()
        code = process.wait()
    wall = time.time() - begun
    memory.join()
    if code:
        sys.exit(f"{file}: fedctr ended with {code}")
    log = (out / "log.txt").read_text(encoding="utf-8").splitlines()
    tests = [found for found in map(TESTED.search, log) if found]
    return Took(
        users=dataset.users,
        samples=dataset.samples,
        strategies=len(experiment.strategies),
        wall=wall,
        cloud=(out / "published" / "seed-0").stat().st_mtime - begun,
        test=sum(float(found["seconds"]) for found in tests),
        peak=memory.peak,
    )


class Memory(threading.Thread):
    """Watches a process and all that it starts, twice a second, until it ends.

    Attributes:
        peak: the most memory that they had at once, in bytes: the sum of their proportional set sizes.
    """

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._known = {root}
        self._root = root

    def run(self) -> None:
        """Watch."""
        while _parent(self._root) is not None:
            self._known |= {pid for pid in _processes() if _parent(pid) in self._known}
            self.peak = max(self.peak, sum(map(_proportional_set_size, self._known)))
            time.sleep(0.5)


def _processes() -> list[int]:
    return sorted(int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())


def _parent(pid: int) -> int | None:
    """The process that started it; None once it has ended."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state == "Z" else int(parent)


def _proportional_set_size(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


def main() -> None:
    """Run, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", type=Path)
    arguments = parser.parse_args()
    table = HEADER
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        compile_engine(scratch)
        files = arguments.experiments or [small(scratch), EXPERIMENTS / "scale-20m.toml", EXPERIMENTS / "scale.toml"]
        for file in files:
            table += run(file, scratch).row(f"`{file.name}`")
            print(table, flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scale.md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
