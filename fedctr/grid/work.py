"""Running a grid: one experiment after the other, each kept as soon as it is finished."""

import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedctr.benchmark import bench
from fedctr.config import Experiment
from fedctr.data.cache import files_of
from fedctr.data.loader import loaders
from fedctr.errors import FedctrError
from fedctr.folder import write_whole
from fedctr.grid.configuration import to_toml
from fedctr.grid.plan import Plan, Point, Sweep
from fedctr.progress import Reporter, Silent


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one experiment.

    Attributes:
        sweep: that it belongs to.
        point: the experiment.
        summary: the content of its ``summary.json``; None when it was skipped, or failed before there was any.
        failed: why it failed, or a part of it; empty otherwise.
        skipped: why it was not run; empty otherwise.
    """

    sweep: Sweep
    point: Point
    summary: dict[str, Any] | None = None
    failed: str = ""
    skipped: str = ""


def run(plan: Plan, reporter: Reporter | None = None) -> list[Outcome]:
    """Run every experiment of a grid; one that is finished already is read from its folder.

    The folder of the grid keeps the resolved configuration as ``config.toml``.

    Args:
        plan: what to run.
        reporter: hears of progress; None for silence.

    Returns:
        An outcome for each experiment, in the order of the plan.

    Raises:
        FedctrError: for an unknown name, when the files of every data set are absent, or the folder cannot be written.
        KeyboardInterrupt: with a message that says what is kept where.
    """
    reporter = reporter or Silent()
    plan.check()
    absent = _absent(plan, reporter)
    write_whole(plan.out / "config.toml", lambda file: file.write_text(to_toml(plan), encoding="utf-8"))
    total = len(plan.points)
    outcomes: list[Outcome] = []
    spent: list[float] = []
    for sweep in plan.sweeps:
        for point in sweep.points:
            reason = absent[_source(point.experiment)]
            if reason:
                outcomes.append(Outcome(sweep, point, skipped=reason))
                continue
            left = sum(not absent[_source(other.experiment)] for other in plan.points[len(outcomes) :])
            estimate = sum(spent) / len(spent) * left if spent else None
            reporter.experiment(len(outcomes) + 1, total, point.name, estimate)
            begun = time.monotonic()
            outcome, reused = _outcome(sweep, point, reporter, f"{len(outcomes)} of {total}", plan.out)
            outcomes.append(outcome)
            spent += [] if reused else [time.monotonic() - begun]
    return outcomes


def _outcome(sweep: Sweep, point: Point, reporter: Reporter, finished: str, out: Path) -> tuple[Outcome, bool]:
    """Run one experiment, and say whether it was finished already."""
    try:
        result = bench(point.experiment, reporter)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{finished} experiments and the finished parts of the next are kept in {out}; start it again to go on"
        ) from None
    except FedctrError as error:
        reason = " ".join(str(error).split())
    except Exception as error:  # a fault in one model must not cost the others their night
        reporter.say(traceback.format_exc().rstrip())
        reason = " ".join(f"{type(error).__name__}: {error}".split())
    else:
        return Outcome(sweep, point, result.summary, result.complaint), result.reused
    reporter.say(f"{point.name} failed: {reason}")
    return Outcome(sweep, point, failed=reason), False


def _absent(plan: Plan, reporter: Reporter) -> dict[tuple[str, Path | None], str]:
    """Data set and path to why its files are absent; empty where they are not."""
    found: dict[tuple[str, Path | None], str] = {}
    for point in plan.points:
        source = _source(point.experiment)
        if source not in found:
            found[source] = _why_absent(*source)
            if found[source]:
                reporter.say(f"skipped: {found[source]}")
    if all(found.values()):
        raise FedctrError(f"no experiment of the grid can be run: {'; '.join(found.values())}")
    return found


def _source(experiment: Experiment) -> tuple[str, Path | None]:
    return experiment.dataset, experiment.path


def _why_absent(dataset: str, path: Path | None) -> str:
    loader = loaders.create(dataset)
    remedy = f"name a folder or an archive under [paths] as {loader.name!r}, or with --path"
    if not loader.needs_files:
        return ""
    if path is not None:
        gone = f"data set {dataset}: {path}: no such file or folder; put the official files there, or {remedy}"
        return "" if path.exists() else gone
    if not loader.sources:
        return f"data set {dataset}: cannot be fetched; bring its official files and {remedy}"
    try:
        files_of(loader)
    except FedctrError as error:
        return " ".join(str(error).split())
    return ""
