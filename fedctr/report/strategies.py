"""The strategies side by side: the table, and the paired differences as a picture."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fedctr.counted import counted
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.palette import BLUE, VERMILLION
from fedctr.report.drawing import INK, MUTED, NARROW, PAPER, shortened, tidy
from fedctr.report.page import Cell, Figure, Section, Table, number, words
from fedctr.report.users import spread
from fedctr.result_table import difference
from fedctr.user_rows import TestRows
from fedctr.verdict import AGAINST, BASELINES, REFERENCE, RULE, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_MARKS = {"vs_no_fine_tuning": (BLUE, "o", -0.13), "vs_fine_tuning": (VERMILLION, "s", 0.13)}
_ROW = 0.5  # inches for each strategy


def compared(run: BenchmarkRun, rows: TestRows) -> Section:
    """Every strategy with its metrics, how far it is from either baseline, and how its users differ."""
    figures = [figure for figure in (_forest(run), spread(rows)) if figure]
    return Section("The strategies side by side", (_table(run), *figures))


def _table(run: BenchmarkRun) -> Table:
    entries = run.strategies
    seeds = run.summary["seeds"]
    covered = max((entry["users_covered"] for entry in entries.values()), default=0)
    rows = tuple(
        (
            *words(spec),
            number(entry["auc_user_mean"]),
            *(_against(spec, key, entry) for key in BASELINES),
            *(number(entry[key]) for key in ("gauc_impressions", "log_loss", "ndcg_at_10")),
            number(entry["share_harmed"] if spec != REFERENCE else None, ".0%"),
            _tuned_with(entry),
        )
        for spec, entry in entries.items()
    )
    return Table(
        caption=f"Means over users and {counted(seeds, 'seed')}, on the test part; {covered:,} of "
        f"{run.summary['users']:,} users have both classes there, and so an AUC.",
        columns=(
            *("strategy", "user AUC", "vs no-fine-tuning", "vs fine-tuning", "GAUC", "log loss", "NDCG@10", "harmed"),
            "tuned with",
        ),
        rows=rows,
        note="Differences are in user AUC, with 95 % intervals (paired bootstrap over users and seeds); * excludes 0 "
        "after correction for all comparisons made. Harmed: the share of users whose AUC is lower than without "
        "fine-tuning, mean over seeds. Tuned with: learning rate x epochs.",
    )


def _tuned_with(entry: Mapping[str, Any]) -> Cell:
    rate = entry["learning_rate"]
    return Cell("", None) if rate is None else Cell(f"{rate:g} x {entry['epochs']}", rate)


def _against(spec: str, key: str, entry: Mapping[str, Any]) -> Cell:
    interval = entry[key]
    if spec == BASELINES[key] or interval is None or interval["mean"] is None:
        return Cell("", None)
    return Cell(difference(interval).rstrip(), interval["mean"])


def _forest(run: BenchmarkRun) -> Figure | None:
    """Differences as points with intervals: thick for each alone, thin for all at once."""
    intervals = {
        spec: {
            key: entry[key]
            for key, baseline in BASELINES.items()
            if spec != baseline and entry[key] is not None and verdict(entry[key]) is not None
        }
        for spec, entry in run.strategies.items()
        if spec != REFERENCE
    }
    intervals = {spec: found for spec, found in intervals.items() if found}
    if not intervals:
        return None
    rows = tuple(
        (
            *words(spec, AGAINST[key]),
            number(interval["mean"], "+.4f"),
            *(number(interval[limit], "+.4f") for limit in ("low", "high", "corrected_low", "corrected_high")),
            *words(verdict(interval)),
        )
        for spec, found in intervals.items()
        for key, interval in found.items()
    )

    def draw(canvas: "Canvas") -> None:
        width, height = canvas.get_size_inches()
        axes = canvas.subplots()
        canvas.subplots_adjust(left=0.12 / width, right=1 - 0.2 / width, top=1 - 0.35 / height, bottom=0.5 / height)
        for place, (spec, found) in enumerate(intervals.items()):
            behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}  # no line runs through a name
            axes.text(
                0,
                place - 0.33,
                shortened(spec, 60),
                transform=axes.get_yaxis_transform(),
                fontsize=9,
                va="center",
                bbox=behind,
            )
            for key, interval in found.items():
                colour, mark, aside = _MARKS[key]
                y = place + 0.13 + aside
                axes.plot([interval["corrected_low"], interval["corrected_high"]], [y, y], color=colour, lw=1)
                axes.plot([interval["low"], interval["high"]], [y, y], color=colour, lw=3.2)
                axes.plot(interval["mean"], y, mark, mfc=PAPER, mec=colour, mew=1.5, ms=5.5)
        axes.axvline(0, color=MUTED, lw=1)
        axes.set_ylim(len(intervals) - 0.45, -0.55)
        axes.set_yticks([])
        axes.set_xlabel("change in user AUC")
        axes.locator_params(axis="x", nbins=5)
        tidy(axes, "x")
        for key, (colour, mark, _) in _MARKS.items():
            axes.plot([], [], mark, color=colour, mfc=PAPER, mew=1.5, ms=5.5, label=f"against {AGAINST[key]}")
        canvas.legend(loc="upper left", ncols=2, frameon=False, labelcolor=INK, borderaxespad=0.1, columnspacing=1)

    return Figure(
        name="differences",
        title="Change in user AUC",
        caption="Thick: the 95 % interval of a difference by itself. Thin: corrected for all comparisons of the run.",
        size=(NARROW, 0.95 + _ROW * len(intervals)),
        draw=draw,
        numbers=Table(
            "Paired differences in user AUC",
            ("strategy", "against", "mean", "low", "high", "corrected low", "corrected high", "verdict"),
            rows,
            note=RULE.replace("*", "").partition(" Where")[0],
        ),
    )
