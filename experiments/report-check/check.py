"""Makes reports of every kind, one of a million users among them, and has them opened in headless Chromium.

python experiments/report-check/check.py [RUN...]

Needs node, npm and Chromium (``apt-get install chromium nodejs npm``; $CHROMIUM where it is elsewhere). RUN is a run
folder whose report is looked at as well. check.mjs says what is checked; exit code 1 if anything is wrong. Pictures of
every page, at desktop and phone width, light and dark, are kept in build/report-check.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from invented import invent

from fedctr.cli import app
from fedctr.report.report import report_of, write

HERE = Path(__file__).parent
PICTURES = HERE.parents[1] / "build" / "report-check"
USERS = 1_000_000
GRID = """
strategies = ["no-fine-tuning", "fine-tuning", "label-correction"]
model = "lr"
seeds = 2
backend = "inline"
learning_rates = [0.1]
epochs = [1]
axes.dataset = ["synthetic[users=200,drift=0]", "synthetic[users=200,drift=1]", "synthetic[users=200,drift=2]"]
"""

ABTEST = """
model = "lr"
arms = ["no-fine-tuning", "fine-tuning", "label-correction"]
days = 4
pre_days = 2
warm_up_days = 2
backend = "inline"
[world]
users = 1500
items = 200
"""


def main(runs: list[Path]) -> int:
    """Make, open, and say what is wrong; the exit code."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("report-check: npm is not installed; apt-get install chromium nodejs npm")
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=True)
    with tempfile.TemporaryDirectory() as folder:
        pages = list(_pages(Path(folder), runs))
        command = ["node", str(HERE / "check.mjs"), "--pictures", str(PICTURES), *map(str, pages)]
        return subprocess.run(command, check=False).returncode


def _pages(folder: Path, runs: list[Path]) -> list[Path]:
    """A page for each kind of run, and for the runs named; one of a million users, and one of several runs."""
    world = ["--dataset", "synthetic[users=200]", "--model", "lr", "--backend", "inline", "--seeds", "2"]
    for name, text in (("grid", GRID), ("abtest", ABTEST)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    _fedctr("bench", *world, "--out", str(folder / "bench"))
    _fedctr("train", *world, "--rounds", "5", "--dropout", "0.2", "--out", str(folder / "train"))
    _fedctr("bench", str(folder / "grid.toml"), "--out", str(folder / "grid"))
    _fedctr("abtest", str(folder / "abtest.toml"), "--out", str(folder / "abtest"))
    invent(folder / "million", USERS)
    kinds = [folder / name for name in ("bench", "train", "grid", "abtest")]
    pages = [write([report_of(run)], folder / f"{run.name}.html") for run in kinds + runs]
    begun = time.monotonic()
    pages.append(write([report_of(folder / "million")], folder / "million.html"))
    print(f"the report of {USERS:,} users was written in {time.monotonic() - begun:.1f} s")
    pages.append(write([report_of(run) for run in kinds], folder / "several.html"))
    return pages


def _fedctr(*arguments: str) -> None:
    app(arguments, standalone_mode=False)


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
