"""The report of a simulated A/B test."""

from collections.abc import Mapping
from typing import Any

from fedctr.cost import Cost
from fedctr.kept.abtest import ABTestRun
from fedctr.online.bill_table import CAPTION, COLUMNS, cells_of
from fedctr.online.table import caption_of, lift_of
from fedctr.online.words import conclusion, headline
from fedctr.report import making
from fedctr.report.days import daily_ctr, lift_so_far
from fedctr.report.lifts import forest, in_groups
from fedctr.report.page import Cell, Report, Section, Table, Text, number, words

Summary = Mapping[str, Any]  # the content of summary.json


def of_abtest(run: ABTestRun) -> Report:
    """What a finished A/B test says.

    Raises:
        FedctrError: when it is not finished, or a file is damaged.
    """
    summary = run.summary
    lifts, days, curve = summary["lifts"], run.frame("days"), run.frame("curve")
    arms = list(summary["arms"])
    kind = "A/A" if summary["aa"] else "A/B"
    said = tuple(Text(sentence, lead=not place) for place, sentence in enumerate(conclusion(summary)))
    figures = [
        Section("How large the lifts are", tuple(figure for figure in (forest(lifts),) if figure)),
        Section("Day by day", tuple(figure for figure in (daily_ctr(days, arms), lift_so_far(curve)) if figure)),
        Section(
            "Who gains",
            tuple(figure for key in ("by_drift", "by_activity") if (figure := in_groups(key, lifts))),
        ),
    ]
    return Report(
        title=f"{summary['model']} in a {summary['world']} world, an {kind} test",
        facts=f"{summary['users']:,} users, {summary['days']} days, {len(arms)} arms, seed {summary['seed']}",
        origin=str(run.folder),
        answer=headline(summary),
        sections=(
            Section("What the test says", (*said, _arms(summary))),
            *(section for section in figures if section.blocks),
            Section("What it costs a device", (_costs(run.device_cost),)),
            making.making(
                run.folder,
                Cost.of(run.folder),
                summary["versions"],
                "fedctr abtest config.toml --out ANOTHER repeats it; another seed is another world.",
            ),
        ),
    )


def _arms(summary: Summary) -> Table:
    found = {(entry["arm"], entry["baseline"]): entry["ctr"] for entry in summary["lifts"]}
    baselines = list(dict.fromkeys(baseline for _, baseline in found))
    return Table(
        "The arms side by side",
        ("arm", "users", "clicks per user", "CTR", *(f"CTR vs {baseline}" for baseline in baselines), "regret"),
        tuple(
            (
                *words(name),
                number(entry["users"], ",d"),
                number(entry["clicks_per_user"], ".3f"),
                number(entry["ctr"]),
                *(_lift(found.get((name, baseline))) for baseline in baselines),
                number(entry["regret"], ".1%"),
            )
            for name, entry in summary["arms"].items()
        ),
        note=caption_of(summary),
    )


def _costs(found: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = ((*words(arm), *(Cell(*cell) for cell in cells_of(entry))) for arm, entry in found.items())
    return Table("What each arm costs a device", ("arm", *COLUMNS), tuple(rows), note=CAPTION)


def _lift(figures: Mapping[str, Any] | None) -> Cell:
    return Cell(lift_of(figures).rstrip(), figures["mean"] if figures else None)
