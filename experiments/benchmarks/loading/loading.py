"""How long fedctr takes to read the official files of a data set of full size, and with how much memory.

python experiments/benchmarks/loading/loading.py [NAME ...] [--folder FOLDER]

Writes files of the official format and size with invented content, then runs ``fedctr data describe NAME --path ...``
in a process of its own, first with an empty cache and then with what that left. Needs Linux, 2 GB of disk space, and
deletes what it wrote. Writes ../results/loading.md, whose other rows stay.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import amazon
import movielens
import taobao

RESULTS = Path(__file__).resolve().parents[1] / "results"
HEADER = (
    "| data set | files | users | items | samples | first time | peak memory | from then on |\n"
    "|---|---|---|---|---|---|---|---|\n"
)
# The data set, and what writes its files into an empty folder.
FAMILIES: dict[str, Callable[[Path], None]] = {
    "movielens-20m": movielens.write,
    "amazon-2014": amazon.write,
    "taobao-ads": taobao.write,
}


@dataclass(frozen=True)
class Took:
    """What one command took.

    Attributes:
        wall: seconds from the command to its prompt.
        peak: most memory that its process had, in bytes.
        described: what it printed.
    """

    wall: float
    peak: int
    described: dict[str, int]


def describe(name: str, files: Path, cache: Path) -> Took:
    """Describe a data set in a process of its own."""
    fedctr = str(Path(sys.executable).with_name("fedctr"))
    command = [fedctr, "data", "describe", name, "--path", str(files), "--json"]
    begun = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "FEDCTR_CACHE": str(cache)}
    ) as process:
        assert process.stdout is not None, "it is piped"
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with {process.returncode}")
    return Took(wall, usage.ru_maxrss << 10, json.loads(said))


def row(name: str, write: Callable[[Path], None], folder: Path) -> str:
    """A line of the table for one data set, whose files are written into a folder."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        files, cache = Path(scratch) / "files", Path(scratch) / "cache"
        files.mkdir()
        write(files)
        size = sum(file.stat().st_size for file in files.iterdir())
        first, again = describe(name, files, cache), describe(name, files, cache)
    if first.described != again.described:
        sys.exit(f"{name}: the second time it was described otherwise")
    counts = [f"{first.described[what]:,}" for what in ("users", "items", "samples")]
    cells = (name, f"{size / 1e9:.2f} GB", *counts, f"{first.wall:.0f} s", f"{first.peak / 1e9:.1f} GB")
    return f"| {' | '.join(cells)} | {again.wall:.1f} s |"


def main() -> None:
    """Measure, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FAMILIES)}; all when left out")
    parser.add_argument("--folder", type=Path, help="where files are written meanwhile")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(FAMILIES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "loading.md"
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in file.read_text(encoding="utf-8").splitlines()[2:]}
    for name in arguments.names or FAMILIES:
        rows[name] = row(name, FAMILIES[name], arguments.folder)
    table = HEADER + "".join(f"{rows[name]}\n" for name in FAMILIES if name in rows)
    print(table)
    file.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
