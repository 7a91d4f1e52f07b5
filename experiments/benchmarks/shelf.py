"""How fast fedctr's engine is with each strategy, beside the plain loop that fine-tunes without one.

python experiments/benchmarks/shelf.py [MODEL]

Writes results/shelf.md. Every strategy does what bench.py has "fine-tuning" do; some do more, such as a dry run.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import median

import workload
from bench import RESULTS, say
from competitors import COMPETITORS, Competitor, users_per_second
from report import machine

from fedctr.fused.engine import goes_stepwise
from fedctr.strategy import strategies

ROUNDS = 3
LOOP, OURS = (next(each for each in COMPETITORS if each.name == name) for name in ("loop", "ours"))


def speed(competitor: Competitor, work: Path) -> float:
    """Users a second, the median of the rounds."""
    return median(users_per_second(competitor.run(work)[0]) for _ in range(ROUNDS))


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", choices=workload.MODELS, default="wide-deep", metavar="MODEL")
    name = parser.parse_args().model
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        workload.write(work, name)
        loop = speed(LOOP, work)
        for strategy in strategies.classes():
            rate = speed(replace(OURS, options=("--strategy", strategy)), work)
            say(f"{strategy}: {rate:,.0f} users/s")
            stepwise = goes_stepwise(strategies.create(strategy), "sgd")
            how = "compiled, with PyTorch in every step" if stepwise else "compiled"
            lines.append(f"| `{strategy}` | {rate:,.0f} | {rate / loop:.1f} x | {how} |\n")
    text = (
        "# The shelf\n\n"
        f"`{name}` on 943 users of `{workload.DATASET}`, one core, {date.today():%-d %B %Y}; "
        f"medians of {ROUNDS} rounds. The plain PyTorch loop fine-tunes {loop:,.0f} users/s "
        f"without a strategy. {machine()}.\n\n"
        "| strategy | users/s | times the plain loop | computed by |\n|---|---|---|---|\n" + "".join(lines)
    )
    (RESULTS / "shelf.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
