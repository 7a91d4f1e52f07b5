"""Two benchmarks, or two trainings, side by side, as text."""

import textwrap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fedctr.judgement import Judge
from fedctr.kept.comparing import Comparison
from fedctr.kept.comparing_trainings import TrainingComparison
from fedctr.result_table import difference, number
from fedctr.verdict import REFERENCE

_DIFFERENCES = {"auc": "difference", "gain": f"gain over {REFERENCE}", "log_loss": "log loss of a user"}
_AS_GOOD: dict[Judge, str] = {"log-loss": "log loss is as low", "auc": "AUC is as high"}
LONGEST = 48  # characters of a setting


def render(comparison: Comparison) -> str:
    """Which settings differ, and a table with one row for each strategy of both."""
    return "\n".join([*_origin(comparison), _table(comparison).rstrip("\n"), _notes(comparison)])


def render_trainings(comparison: TrainingComparison) -> str:
    """Which settings differ, and a table with one row for each seed of both."""
    table = Table(title="Validation of the round that is published", box=SIMPLE_HEAD, title_justify="left")
    for heading in ("seed", "round, first", "second", "log loss, first", "second", "AUC, first", "second", "caught up"):
        table.add_column(heading, justify="right")
    for seed, figures in comparison.seeds.items():
        sides = [figures[side] for side in ("first", "second")]
        told = [f"{side['round']}" for side in sides]
        told += [number(side[name]) for name in ("log_loss", "auc") for side in sides]
        table.add_row(str(seed), *told, "-" if figures["caught_up"] is None else str(figures["caught_up"]))
    samples = "" if comparison.same_samples else "They were validated on other samples, so figures say little. "
    note = (
        f"{samples}Caught up: the round after which the second's {_AS_GOOD[comparison.best_by]} as that of the first's "
        "best. A difference without an interval is not yet a finding: fedctr bench --published makes a benchmark of "
        "each, and those are compared user by user."
    )
    return "\n".join([*_origin(comparison), _printed(table).rstrip("\n"), "", textwrap.fill(note, 120)])


def _origin(comparison: Comparison | TrainingComparison) -> list[str]:
    return [f"first: {comparison.first}\nsecond: {comparison.second}\n", _settings(comparison)]


def _settings(comparison: Comparison | TrainingComparison) -> str:
    if not comparison.settings:
        return "All settings that determine results are the same.\n"
    table = Table(title="Settings that differ", box=SIMPLE_HEAD, title_justify="left")
    for heading in ("setting", "first", "second"):
        table.add_column(heading, overflow="fold")
    for key, values in comparison.settings.items():
        table.add_row(key, *(escape(_short(value)) for value in values))
    return _printed(table)


def _table(comparison: Comparison) -> str:
    table = Table(title="Second less first", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("strategy", overflow="fold")
    for heading in ("user AUC, first", "second", *_DIFFERENCES.values(), "users"):
        table.add_column(heading, justify="right", overflow="fold")
    for spec, figures in comparison.strategies.items():
        auc = figures["auc"]
        table.add_row(
            escape(spec),
            number(auc["first"]["mean"]),
            number(auc["second"]["mean"]),
            *(difference(figures[key] and figures[key]["difference"]) for key in _DIFFERENCES),
            _users(auc, comparison.paired),
        )
    return _printed(table)


def _users(figure: dict[str, Any], paired: bool) -> str:
    first, second = (figure[side]["users"] for side in ("first", "second"))
    return f"{first:,}" if paired else f"{first:,} and {second:,}"


def _notes(comparison: Comparison) -> str:
    seeds = next(iter(comparison.strategies.values()))["auc"]["difference"]["seeds"]
    how = (
        f"Paired: both runs have the same samples, so differences are those of each user, over {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'} of both."
        if comparison.paired
        else "Not paired: the runs have other samples, so users and seeds of each are drawn by themselves."
    )
    notes = [f"{how} 95 % intervals by bootstrap; * excludes 0 after correction for all strategies in its column."]
    for name, only in (("first", comparison.only_first), ("second", comparison.only_second)):
        if only:
            notes.append(f"Only in the {name}: {', '.join(only)}.")
    return "\n".join(["", *(textwrap.fill(note, 120) for note in notes)])


def _short(value: str | None) -> str:
    """A setting in a cell; of long ones, such as a hash, the beginning tells them apart."""
    if value is None:
        return "-"
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 3]}..."


def _printed(table: Table) -> str:
    # As wide as it needs to be: a line that is folded by the terminal can still be copied.
    console = Console(width=1000, color_system=None, force_jupyter=False)
    with console.capture() as text:
        console.print(table)
    return "\n".join(line.rstrip() for line in text.get().splitlines()) + "\n"
