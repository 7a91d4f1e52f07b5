"""How fast fedctr's engine is with each strategy, beside the plain PyTorch loop with the same one, and without any.

python experiments/benchmarks/shelf.py [MODEL]

Writes results/shelf.md. Every strategy does what bench.py has "fine-tuning" do; some do more, such as a dry run.
Engine and loop take turns in one process, on one thread. Exits with 1 if their AUCs differ.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import workload
from bench import RESULTS, disagreement, say
from competitors import COMPETITORS, Aucs, users_per_second
from our_engine import timed, users_of
from plain_strategy import People, StrategyLoop, dry_parts
from report import machine
from work import WARM_UP_USERS, Clock

from fedctr.fused.engine import goes_stepwise
from fedctr.strategy import share_held_out, strategies
from fedctr.threads import single_thread

ROUNDS = 3
HEADER = (
    "| strategy | users/s | the loop with it | times the loop with it | times the loop without | computed by |\n"
    "|---|---|---|---|---|---|\n"
)


class Speeds(NamedTuple):
    """Users a second with a strategy, by CPU time, and how the AUCs differ; empty if they do not."""

    engine: float
    loop: float
    complaint: str


def in_turns(engine: Callable[[int | None], Aucs], loop: Callable[[int], float], users: int) -> Speeds:
    """A round of the engine is all users, and one of the loop every third, so that it does all of them once."""
    engine(WARM_UP_USERS)
    for user in range(WARM_UP_USERS):
        loop(user)
    reference, seconds, loop_seconds = np.empty(users), list[float](), 0.0
    for number in range(ROUNDS):
        aucs, _, cpu_seconds = timed(engine)
        seconds.append(cpu_seconds)
        clock = Clock()
        for user in range(number, users, ROUNDS):
            reference[user] = loop(user)
        loop_seconds += clock.read()[1]
    return Speeds(users / median(seconds), users / loop_seconds, disagreement(aucs, reference))


def without_strategy(model: str) -> float:
    """Users a second of the plain loop as bench.py measures it."""
    competitor = next(each for each in COMPETITORS if each.name == "loop")
    with tempfile.TemporaryDirectory() as scratch:
        workload.write(Path(scratch), model)
        return median(users_per_second(competitor.run(Path(scratch))[0]) for _ in range(ROUNDS))


def main() -> int:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", choices=workload.MODELS, default="wide-deep", metavar="MODEL")
    model = parser.parse_args().model
    plain = without_strategy(model)
    dataset, parts = workload.dataset_and_split()
    published = workload.published_model(model, dataset)

    @cache
    def people(share: float) -> People:
        """The users; in a dry run that holds out a share, if that is above 0."""
        return People.build(dataset, dry_parts(parts, share) if share else parts, published.model)

    lines, agree = [], True
    with single_thread():
        for name in strategies.classes():
            strategy = strategies.create(name)
            share = share_held_out(strategy)
            loop = StrategyLoop(strategy, published, people(0), people(share) if share else None)
            found = in_turns(users_of(model, name), loop.auc, dataset.users)
            say(f"{name}: {found.engine:,.0f} users/s, the loop {found.loop:,.0f} {found.complaint}".rstrip())
            agree = agree and not found.complaint
            how = "compiled, with PyTorch in every step" if goes_stepwise(strategy, "sgd") else "compiled"
            lines.append(
                f"| `{name}` | {found.engine:,.0f} | {found.loop:,.0f} | {found.engine / found.loop:.1f} x | "
                f"{found.engine / plain:.1f} x | {how} |\n"
            )
    text = (
        f"# The shelf\n\n`{model}` on {dataset.users} users of `{workload.DATASET}`, one core, "
        f"{date.today():%-d %B %Y}; medians of {ROUNDS} rounds, of the loop with a strategy one round of all users. "
        f"The plain PyTorch loop fine-tunes {plain:,.0f} users/s without a strategy. {machine()}.\n\n"
        + HEADER
        + "".join(lines)
    )
    (RESULTS / "shelf.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
