"""The comparison of a run as a picture."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedctr.counted import counted
from fedctr.palette import BLUE, VERMILLION
from fedctr.result_table import order_of
from fedctr.verdict import AGAINST, BASELINES, REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"vs_no_fine_tuning": BLUE, "vs_fine_tuning": VERMILLION}
LABELS = {key: f"against {words}" for key, words in AGAINST.items()}
INK, GREY, BAND = "#222222", "#666666", "#f3f3f3"
ROW, HEAD, FOOT = 0.36, 1.0, 0.95  # inches for a strategy, above the panels and below them
GAP, LETTER = 0.12, 0.082  # inches between panels, and for a letter of a strategy's name
NARROWEST = 6.5  # inches that the legend takes
SQUEEZED = 3  # times the upper quartile of what intervals reach is where a scale ends, so that the others can be read

Interval = Mapping[str, Any]
Entries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class _Panel:
    """One column of the picture, with a row for each strategy.

    Attributes:
        heading: stands above it; empty for a panel that goes on with what the one before it shows.
        users: whose differences these are.
        found: of a comparison, the interval to draw, or None.
        baselines: what is compared against.
        inches: its width.
    """

    heading: str
    users: str
    found: Callable[[Mapping[str, Any]], Interval | None]
    baselines: tuple[str, ...]
    inches: float

    def intervals(self, name: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, Interval]]:
        """Baseline and interval of all that is drawn of a strategy."""
        for key in self.baselines:
            interval = None if entry[key] is None or name == BASELINES[key] else self.found(entry[key])
            if interval is not None and interval["low"] is not None:
                yield key, interval


def draw_comparison(summary: Mapping[str, Any], file: Path, *, ranked: bool = False) -> None:
    """Write :func:`comparison` to a PNG file."""
    comparison(summary, ranked=ranked).savefig(file, format="png", dpi=150)


def comparison(summary: Mapping[str, Any], *, ranked: bool = False) -> "Figure":
    """Paired differences with their intervals: a row for each strategy, a column for all users and for each drift.

    Args:
        summary: the content of ``summary.json``.
        ranked: in the order of the ranked table, and with the differences in GAUC that it is ranked by.
    """
    from matplotlib.figure import Figure  # takes a second to import, which other commands need not spend

    order = order_of(summary["strategies"], ranked=ranked)
    entries = {name: summary["strategies"][name] for name in order if name != REFERENCE}
    panels = _panels(entries, ranked=ranked)
    left = 0.25 + LETTER * max(map(len, entries), default=0)
    width = max(left + sum(panel.inches + GAP for panel in panels) + 0.1, NARROWEST)
    height = HEAD + ROW * max(len(entries), 1) + FOOT
    figure = Figure(figsize=(width, height))
    for index, panel in enumerate(panels):
        axes = figure.add_axes((left / width, FOOT / height, panel.inches / width, 1 - (HEAD + FOOT) / height))
        axes.set_xlim(_limits([other for other in panels if other.baselines == panel.baselines], entries))
        _draw(axes, panel, entries)
        axes.set_yticks(range(len(entries)), list(entries) if index == 0 else [])
        figure.text(left / width, 1 - 0.62 / height, panel.heading, fontsize=9.5, color=INK)
        left += panel.inches + GAP
    seeds = summary["seeds"]
    title = f"{summary['model']} on {summary['dataset']}, {counted(seeds, 'seed')}"
    figure.text(0.1 / width, 1 - 0.3 / height, title, fontsize=11.5, color=INK)
    for place, (key, label) in enumerate(LABELS.items()):
        figure.text((0.1 + 2.1 * place) / width, 0.4 / height, f"\u25cf {label}", color=COLOURS[key], fontsize=9.5)
    explained = "Lines: 95 % intervals; thin: corrected for all comparisons. A full point: the whole line excludes 0."
    figure.text(0.1 / width, 0.14 / height, explained, color=GREY, fontsize=8.5)
    return figure


def _panels(entries: Entries, *, ranked: bool) -> list[_Panel]:
    against = [entry["vs_no_fine_tuning"] for entry in entries.values() if entry["vs_no_fine_tuning"]]
    found = [_Panel("change in user AUC", "all users", lambda compared: compared, tuple(BASELINES), 3.1)]
    if ranked:
        gauc = _Panel("change in GAUC", "all users", _gauc, tuple(BASELINES), 3.1)
        found.insert(0, gauc)
    for index, bucket in enumerate(against[0]["by_drift"] if against else ()):
        users = next((each["by_drift"][bucket]["users"] for each in against if each["by_drift"][bucket]), 0)
        heading = "" if index else "change in user AUC by |local CTR \u2212 global CTR|"
        found.append(
            _Panel(heading, f"{bucket}: {users:,} users", _of_bucket(bucket), ("vs_no_fine_tuning",), 1.55),
        )
    return found


def _gauc(compared: Mapping[str, Any]) -> Interval | None:
    interval: Interval | None = compared["gauc_impressions_difference"]
    return interval


def _of_bucket(bucket: str) -> Callable[[Mapping[str, Any]], Interval | None]:
    return lambda compared: compared["by_drift"][bucket]


def _limits(panels: list[_Panel], entries: Entries) -> tuple[float, float]:
    """What panels of one scale show of the axis: all that is drawn, but for what would squeeze the rest."""
    ends = [
        _ends(interval)
        for panel in panels
        for name, entry in entries.items()
        for _, interval in panel.intervals(name, entry)
    ]
    if not ends:
        return -1e-3, 1e-3
    most = SQUEEZED * float(np.quantile([max(-low, high) for low, high in ends], 0.75))
    low, high = max(min(0.0, *(low for low, _ in ends)), -most), min(max(0.0, *(high for _, high in ends)), most)
    room = max(0.05 * (high - low), 1e-4)
    return low - room, high + room


def _ends(interval: Interval) -> tuple[float, float]:
    """Where the line of an interval ends: corrected for all comparisons, if it is."""
    return interval.get("corrected_low", interval["low"]), interval.get("corrected_high", interval["high"])


def _draw(axes: "Axes", panel: _Panel, entries: Entries) -> None:
    """Points with intervals, and an arrow where the scale ends before the interval does."""
    left, right = axes.get_xlim()
    for row, (name, entry) in enumerate(entries.items()):
        if row % 2 == 0:
            axes.axhspan(row - 0.5, row + 0.5, color=BAND, lw=0, zorder=0)
        for key, interval in panel.intervals(name, entry):
            y = row + (0 if len(panel.baselines) == 1 else 0.17 if key == "vs_fine_tuning" else -0.17)
            low, high = _ends(interval)
            colour = COLOURS[key]
            axes.plot([low, high], [y, y], color=colour, lw=1)
            axes.plot([interval["low"], interval["high"]], [y, y], color=colour, lw=2.6, solid_capstyle="butt")
            axes.plot(interval["mean"], y, "o", mfc=colour if low > 0 or high < 0 else "white", mec=colour, ms=4.5)
            for edge, mark, is_cut in ((left, "<", low < left), (right, ">", high > right)):
                if is_cut:
                    axes.plot(edge, y, mark, color=colour, ms=5, clip_on=False)
    axes.axvline(0, color=GREY, lw=1)
    axes.set_xlim(left, right)
    axes.set_ylim(max(len(entries), 1) - 0.5, -0.5)
    axes.set_title(panel.users, fontsize=8.5, loc="left", color=GREY)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.locator_params(axis="x", nbins=round(2 * panel.inches))
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=7.5)
