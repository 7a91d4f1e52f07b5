"""The lifts of an A/B test as pictures: over all users, and in groups of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedctr.palette import BLUE, VERMILLION
from fedctr.report.drawing import INK, MUTED, NARROW, PAPER, stack, tidy
from fedctr.report.page import Cell, Figure, Table, number, words
from fedctr.verdict import verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

METRICS = {"ctr": ("CTR", BLUE, "o"), "clicks_per_user": ("clicks per user", VERMILLION, "s")}
_LIMITS = ("low", "high", "corrected_low", "corrected_high", "always_valid_low", "always_valid_high")
_GROUPS = {
    "by_drift": ("Lift of CTR against drift", "|CTR of the user - CTR of all| before the test"),
    "by_activity": ("Lift of CTR against activity", "impressions of the user before the test"),
}
_ROW = 0.62  # inches for each comparison
_PANEL = 0.92

Lift = Mapping[str, Any]  # of two arms, as in summary.json


def versus(entry: Lift) -> str:
    """What a comparison is called."""
    return f"{entry['arm']} vs {entry['baseline']}"


def forest(lifts: Sequence[Lift]) -> Figure | None:
    """Each comparison with its three kinds of limits; None where none has any."""
    shown = [entry for entry in lifts if any(entry[metric]["low"] is not None for metric in METRICS)]
    if not shown:
        return None

    def draw(canvas: "Canvas") -> None:
        width, height = canvas.get_size_inches()
        axes = canvas.subplots()
        canvas.subplots_adjust(left=0.12 / width, right=1 - 0.2 / width, top=1 - 0.35 / height, bottom=0.5 / height)
        for place, entry in enumerate(shown):
            behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}  # no line runs through a name
            across = axes.get_yaxis_transform()
            axes.text(0, place - 0.3, versus(entry), transform=across, fontsize=9, va="center", bbox=behind)
            for aside, (metric, (_, colour, mark)) in zip((0.0, 0.27), METRICS.items(), strict=True):
                if entry[metric]["low"] is not None:
                    _limits(axes, place + aside, entry[metric], colour, mark)
        axes.axvline(0, color=MUTED, lw=1)
        axes.set_ylim(len(shown) - 0.5, -0.55)
        axes.set_yticks([])
        axes.set_xlabel("lift")
        percent(axes, "x")
        tidy(axes, "x")
        for name, colour, mark in METRICS.values():
            axes.plot([], [], mark, color=colour, mfc=PAPER, mew=1.5, ms=5.5, label=name)
        canvas.legend(loc="upper left", ncols=2, frameon=False, labelcolor=INK, borderaxespad=0.1, columnspacing=1)

    return Figure(
        name="lifts",
        title="Lifts",
        caption="Thick: the 95 % interval of a lift by itself. Thin: corrected for all comparisons of the test. "
        "Dotted: limits that hold on all days at once, whenever one looks and stops.",
        size=(NARROW, 0.95 + _ROW * len(shown)),
        draw=draw,
        numbers=Table(
            "Lifts",
            ("comparison", "metric", "lift", *(limit.replace("_", " ") for limit in _LIMITS), "p-value", "verdict"),
            tuple(
                (
                    *words(versus(entry), name),
                    *_numbers(entry[metric], _LIMITS),
                    number(entry[metric]["p_value"], ".3g"),
                    *words(verdict(entry[metric]) or "not known"),
                )
                for entry in lifts
                for metric, (name, _, _) in METRICS.items()
            ),
        ),
    )


def in_groups(key: str, lifts: Sequence[Lift]) -> Figure | None:
    """The lift of CTR in groups of users, a panel for each comparison.

    Args:
        key: ``by_drift`` or ``by_activity``.
        lifts: of all comparisons.

    Returns:
        The figure; None where no group has a lift with limits.
    """
    shown = [entry for entry in lifts if any(group["low"] is not None for group in entry[key].values())]
    if not shown:
        return None
    title, axis = _GROUPS[key]
    names = [name for name in shown[0][key] if any(entry[key][name]["users"] for entry in shown)]

    def draw(canvas: "Canvas") -> None:
        panels = stack(canvas, [versus(entry) for entry in shown], "lift of CTR")
        for panel, entry in zip(panels, shown, strict=True):
            panel.axhline(0, color=MUTED, lw=1)
            for place, name in enumerate(names):
                group = entry[key][name]
                if group["low"] is not None:
                    panel.plot([place] * 2, [group["corrected_low"], group["corrected_high"]], color=BLUE, lw=1)
                    panel.plot([place] * 2, [group["low"], group["high"]], color=BLUE, lw=3)
                    panel.plot(place, group["mean"], "o", mfc=PAPER, mec=BLUE, mew=1.5, ms=5)
            percent(panel, "y")
        panels[-1].set_xticks(range(len(names)), names)
        panels[-1].set_xlim(-0.5, len(names) - 0.5)
        panels[-1].set_xlabel(axis)

    return Figure(
        name=f"lifts-{key.replace('_', '-')}",
        title=title,
        caption="One panel for each comparison. Thick: the 95 % interval of a group by itself. Thin: corrected for all "
        "groups of all comparisons. A group without an interval has too few users who clicked.",
        size=(NARROW, 0.7 + _PANEL * len(shown)),
        draw=draw,
        numbers=Table(
            title,
            ("comparison", "group", "lift", "low", "high", "corrected low", "corrected high", "users"),
            tuple(
                (*words(versus(entry), name), *_numbers(group, _LIMITS[:4]), number(group["users"], ",d"))
                for entry in lifts
                for name, group in entry[key].items()
            ),
        ),
    )


def percent(axes: "Axes", which: str) -> None:
    """Have an axis tell shares in percent, with few ticks."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.locator_params(axis=which, nbins=5 if which == "x" else 4)  # type: ignore[arg-type]
    axis.set_major_formatter(lambda value, place: f"{round(100 * value, 6):g}%")


def _limits(axes: "Axes", y: float, figures: Lift, colour: str, mark: str) -> None:
    for limits, width, style in (("always_valid_", 1.2, ":"), ("corrected_", 1.2, "-"), ("", 3.2, "-")):
        axes.plot([figures[f"{limits}low"], figures[f"{limits}high"]], [y, y], style, color=colour, lw=width)
    axes.plot(figures["mean"], y, mark, mfc=PAPER, mec=colour, mew=1.5, ms=5.5)


def _numbers(figures: Lift, limits: Sequence[str]) -> tuple[Cell, ...]:
    return tuple(number(figures[key], "+.2%") for key in ("mean", *limits))
