"""Fine-tunes and measures the same users with fedctr and with its competitors, and says how fast each was.

python experiments/benchmarks/bench.py [quick|full] [--model NAME ...] [--only NAME ...]

Runs what is installed, in turns. "quick" measures one model; "full" measures all and writes results/personalisation.md
and results/results.json, but for others than the first model only the loop and fedctr's engine run, unless --only names
more. The last line of the standard output is JSON with the headline ratios. Exits with 1 if a competitor found other
AUCs than the plain loop; how fast anything was decides nothing.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
import workload
from competitors import COMPETITORS, HERE, Aucs, Competitor, users_per_second
from floor import narrow_rate, sgemm_rate
from operations import operations_per_user
from report import Measured, facts, headline, page
from work import Work

RESULTS = HERE / "results"
ON_EVERY_MODEL = ("loop", "ours")
# Those who do the same work differ by less: rounding in single precision gives 1e-16, and even weights off by 1e-6 of
# themselves rank every user's samples alike. A learning rate off by 0.3 % differs by 5e-3 at most, 2e-5 on average.
AT_MOST, ON_AVERAGE = 1e-3, 1e-5


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def disagreement(found: Aucs, reference: Aucs) -> str:
    """How AUCs differ from the loop's by more than rounding; empty if they do not."""
    if found.shape != reference.shape or not np.array_equal(np.isnan(found), np.isnan(reference)):
        return "other users have an AUC"
    difference = np.abs(found - reference)[~np.isnan(reference)]
    if difference.max() > AT_MOST or difference.mean() > ON_AVERAGE:
        return f"AUCs differ by {difference.max():.1e} at most, {difference.mean():.1e} on average"
    return ""


def present(names: Collection[str]) -> list[Competitor]:
    """Those who were asked for and are installed, and the loop, which the others' AUCs are compared with."""
    chosen = [each for each in COMPETITORS if each.name in ("loop", *names)]
    for each in chosen:
        if each.python is None:
            say(f"{each.name}: left out; to install it: python experiments/benchmarks/install.py {each.folder}")
    return [each for each in chosen if each.python is not None]


def measure(competitors: list[Competitor], mode: str, folder: Path) -> tuple[Measured, bool]:
    """Run the rounds on the workload in a folder: the numbers, and whether all AUCs agree."""
    work = Work.read(folder)
    measured = Measured(work.model, operations_per_user(work))
    reference: Aucs | None = None
    agree = True
    for number in range(max(getattr(each, mode) for each in competitors)):
        measured.sgemm.append(sgemm_rate())
        narrow = narrow_rate(work, measured.operations, measured.sgemm[-1])
        measured.narrow.extend([] if narrow is None else [narrow])
        for each in competitors:
            if number >= getattr(each, mode):
                continue
            result, aucs = each.run(folder)
            measured.results.setdefault(each.name, []).append(result)
            reference = aucs if reference is None else reference
            complaint = disagreement(aucs, reference)
            agree = agree and not complaint
            speed = f"{users_per_second(result):,.0f} users/s"
            say(f"{work.model}, round {number + 1}, {each.name}: {speed} {complaint}".rstrip())
    return measured, agree


def main() -> int:
    """Measure, then write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", nargs="?", choices=["quick", "full"], default="quick")
    parser.add_argument("--model", nargs="+", choices=workload.MODELS, metavar="NAME", help=", ".join(workload.MODELS))
    everybody = [each.name for each in COMPETITORS]
    parser.add_argument("--only", nargs="+", choices=everybody, metavar="NAME", help=", ".join(everybody))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.model or workload.MODELS[: 1 if arguments.mode == "quick" else None]

    models: list[Measured] = []
    all_agree = True
    for name in dict.fromkeys(names):
        competitors = present(arguments.only or (everybody if name == workload.MODELS[0] else ON_EVERY_MODEL))
        with tempfile.TemporaryDirectory() as scratch:
            workload.write(Path(scratch), name)
            measured, agree = measure(competitors, arguments.mode, Path(scratch))
        models.append(measured)
        all_agree = all_agree and agree

    text = page(models, workload.DATASET)
    if arguments.mode == "full":
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "personalisation.md").write_text(text, encoding="utf-8")
        (RESULTS / "results.json").write_text(json.dumps(facts(models), indent=1) + "\n", encoding="utf-8")
    print(text)
    print(json.dumps(headline(models)))
    return 0 if all_agree else 1


if __name__ == "__main__":
    sys.exit(main())
