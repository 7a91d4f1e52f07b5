"""The comparison of a run as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedctr.comparison import BASELINES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"vs_no_fine_tuning": "#1f5fa8", "vs_fine_tuning": "#c8571b"}
LABELS = {"vs_no_fine_tuning": "against no fine-tuning", "vs_fine_tuning": "against plain fine-tuning"}


def draw_comparison(summary: dict[str, Any], file: Path) -> None:
    """Draw paired differences in user AUC, over all users and by drift.

    Args:
        summary: the content of ``summary.json``.
        file: the PNG picture to write.
    """
    from matplotlib.figure import Figure  # takes a second to import, which other commands need not spend

    strategies = {name: entry for name, entry in summary["strategies"].items() if name != "no-fine-tuning"}
    figure = Figure(figsize=(11, 1.9 + 0.42 * max(len(strategies), 5)), layout="constrained")
    overall, drift = figure.subplots(1, 2, width_ratios=[1.15, 1])
    figure.suptitle(
        f"{summary['model']} on {summary['dataset']}: change in user AUC, {summary['seeds']} seeds", x=0.01, ha="left"
    )
    _draw_overall(overall, strategies)
    _draw_by_drift(drift, strategies)
    figure.savefig(file, format="png", dpi=150)


def _draw_overall(axes: "Axes", strategies: dict[str, Any]) -> None:
    """One line per strategy and baseline: thick for the interval alone, thin for all comparisons at once."""
    for key, offset in (("vs_no_fine_tuning", -0.14), ("vs_fine_tuning", 0.14)):
        for row, (name, entry) in enumerate(strategies.items()):
            found = entry[key]
            if found is None or found["low"] is None or name == BASELINES[key]:
                continue
            axes.plot([found["corrected_low"], found["corrected_high"]], [row + offset] * 2, color=COLOURS[key], lw=1)
            axes.plot([found["low"], found["high"]], [row + offset] * 2, color=COLOURS[key], lw=3.5)
            axes.plot(found["mean"], row + offset, "o", color="white", mec=COLOURS[key], ms=6, zorder=3)
        axes.plot([], [], color=COLOURS[key], lw=3.5, label=LABELS[key])
    axes.axvline(0, color="#666666", lw=1)
    axes.set_yticks(range(len(strategies)), list(strategies))
    axes.set_ylim(max(len(strategies), 1) - 0.5, -0.5)
    axes.set_title("all users; thin lines: corrected for all comparisons", fontsize=10, loc="left")
    _style(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=9)


def _draw_by_drift(axes: "Axes", strategies: dict[str, Any]) -> None:
    """Against no fine-tuning, in buckets of |local CTR - global CTR|."""
    shown = [
        (name, entry["vs_no_fine_tuning"]["by_drift"])
        for name, entry in strategies.items()
        if entry["vs_no_fine_tuning"]
    ]
    palette = ["#c8571b", "#1f5fa8", "#2f8f5b", "#8a4fa3", "#7a7a7a", "#b8860b"]
    buckets = list(shown[0][1]) if shown else []
    for index, (name, by_drift) in enumerate(shown):
        shift = (index - (len(shown) - 1) / 2) * 0.8 / max(len(shown), 1)
        colour = palette[index % len(palette)]
        for row, bucket in enumerate(buckets):
            found = by_drift[bucket]
            if found is None or found["low"] is None:
                continue
            axes.plot([found["low"], found["high"]], [row + shift] * 2, color=colour, lw=2)
            axes.plot(found["mean"], row + shift, "o", color=colour, ms=4)
        axes.plot([], [], "o-", color=colour, lw=2, ms=4, label=name)
    users = [next((by[bucket]["users"] for _, by in shown if by[bucket]), 0) for bucket in buckets]
    axes.axvline(0, color="#666666", lw=1)
    axes.set_yticks(
        range(len(buckets)), [f"{bucket}\n{count:,} users" for bucket, count in zip(buckets, users, strict=True)]
    )
    axes.set_ylim(max(len(buckets), 1) - 0.5, -0.5)
    axes.set_title("against no fine-tuning, by |drift|; not corrected", fontsize=10, loc="left")
    _style(axes)
    if shown:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=9)


def _style(axes: "Axes") -> None:
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=8)
