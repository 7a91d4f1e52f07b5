"""Time per-user AUC by fedctr and by the libraries installed beside it, and check that their digits agree.

Usage: python bench.py [quick|full]

Each library runs in its own environment, ``<library>/.venv``, in a new process for every round, with one thread for
numerical operators; one without an environment is left out. The table goes to stdout, whose last line is a JSON object
of the figures; that of a full run also to ``../results/gauc.md`` and ``gauc.json``. The exit code is 1 if a library's
GAUC is not fedctr's in the same weighting; times never decide it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from workload import generate

HERE = Path(__file__).resolve().parent
OURS = "ours"
TITLES = {
    OURS: "fedctr",
    "fuxictr": "FuxiCTR",
    "torch_rechub": "torch-rechub",
    "recbole": "RecBole",
    "torchmetrics": "torchmetrics",
}
TOLERANCE = 1e-6
SLOW_SECONDS = 10.0  # a library that takes longer runs in the first round only
# On a busy machine the second thread of an operator can make it tens of times slower, and the ratios with it.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Size(NamedTuple):
    """How much to run."""

    users: int
    rounds: int


SIZES = {"quick": Size(users=1_000, rounds=3), "full": Size(users=20_000, rounds=5)}

Result = dict[str, Any]  # the contents of a result.json


class Row(NamedTuple):
    """The figures of one library over all its rounds."""

    library: str
    weighting: str
    rows: int
    gauc: float
    expected: float  # fedctr's GAUC in the same weighting
    seconds: list[float]
    ratio: float  # median seconds over those of fedctr
    versions: dict[str, str]

    @property
    def agrees(self) -> bool:
        """Whether the GAUC is the expected one; NaN never is."""
        return abs(self.gauc - self.expected) <= TOLERANCE


def interpreter(name: str) -> Path:
    """Python of the environment of a library, which may not be installed."""
    return Path(sys.executable) if name == OURS else HERE / name / ".venv" / "bin" / "python"


def run(name: str, workload: Path) -> Result:
    """Run a library once on the workload.

    Raises:
        SystemExit: when its process fails, with what it wrote to stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run(
            [interpreter(name), HERE / name / "run.py", workload, folder],
            env={**os.environ, **ONE_THREAD},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            raise SystemExit(f"{TITLES[name]} failed with exit code {process.returncode}:\n{process.stderr}")
        result: Result = json.loads((Path(folder) / "result.json").read_text())
        return result


def measure(size: Size, workload: Path) -> dict[str, list[Result]]:
    """Run every installed library in turn, round after round; the results by library, fedctr first."""
    results: dict[str, list[Result]] = {name: [] for name in TITLES if interpreter(name).exists()}
    for number in range(size.rounds):
        for name, earlier in results.items():
            if not earlier or earlier[0]["seconds"] < SLOW_SECONDS:
                earlier.append(run(name, workload))
                print(f"round {number + 1}: {TITLES[name]} {earlier[-1]['seconds']:.3g} s", file=sys.stderr)
    return results


def summarise(results: Mapping[str, list[Result]]) -> dict[str, Row]:
    """One row for each library, its GAUC being the one of its rounds that lies farthest from fedctr's."""
    ours = results[OURS][0]
    ours_seconds = statistics.median(result["seconds"] for result in results[OURS])
    rows = {}
    for name, rounds in results.items():
        first = rounds[0]
        expected = ours["gauc_by_weighting"][first["weighting"]]
        seconds = [result["seconds"] for result in rounds]
        rows[name] = Row(
            library=f"{TITLES[name]} {next(iter(first['versions'].values()))}",
            weighting=first["weighting"],
            rows=first["rows"],
            gauc=max((result["gauc"] for result in rounds), key=lambda gauc: abs(gauc - expected)),
            expected=expected,
            seconds=seconds,
            ratio=statistics.median(seconds) / ours_seconds,
            versions=first["versions"],
        )
    return rows


def table(rows: Mapping[str, Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| library | weighting | rows | GAUC | difference | seconds (median) | theirs / ours |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows.values():
        lines.append(
            f"| {row.library} | {row.weighting} | {row.rows:,} | {row.gauc:.9f} | {row.gauc - row.expected:.0e} "
            f"| {statistics.median(row.seconds):.3g} | {row.ratio:,.{0 if row.ratio >= 10 else 1}f} |"
        )
    return "\n".join(lines)


def write(folder: Path, rows: Mapping[str, Row]) -> None:
    """Write ``gauc.md`` and ``gauc.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    setting = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()}-core {platform.system()} {platform.machine()}",
        "users": SIZES["full"].users,
        "rows": rows[OURS].rows,
    }
    heading = "# GAUC\n\n{users:,} users, {rows:,} rows; {date}, {machine}, no GPU used.\n".format(**setting)
    (folder / "gauc.md").write_text(f"{heading}\n{table(rows)}\n")
    libraries = {name: row._asdict() for name, row in rows.items()}
    contents = {**setting, "tolerance": TOLERANCE, "libraries": libraries}
    (folder / "gauc.json").write_text(json.dumps(contents, indent=2) + "\n")


def main() -> int:
    """Run the benchmark; 1 if digits disagree."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("mode", nargs="?", choices=SIZES, default="quick")
    arguments = parser.parse_args()

    size = SIZES[arguments.mode]
    with tempfile.TemporaryDirectory() as folder:
        workload = Path(folder)
        generate(size.users).save(workload)
        rows = summarise(measure(size, workload))
    if arguments.mode == "full":
        write(HERE.parent / "results", rows)

    for name, title in TITLES.items():
        if name not in rows:
            print(f"{title} is not installed", file=sys.stderr)
    disagreeing = [row for row in rows.values() if not row.agrees]
    for row in disagreeing:
        print(f"{row.library}: GAUC {row.gauc!r}, expected {row.expected!r}", file=sys.stderr)

    print(table(rows))
    figures: dict[str, float | None] = {"ours_seconds": statistics.median(rows[OURS].seconds)}
    figures |= {f"vs_{name}": rows[name].ratio if name in rows else None for name in TITLES if name != OURS}
    print(json.dumps(figures))
    return 1 if disagreeing else 0


if __name__ == "__main__":
    sys.exit(main())
