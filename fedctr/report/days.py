"""An A/B test day by day: the CTR of every arm, and the lifts as they stood each evening."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from fedctr.palette import BLUE, SERIES
from fedctr.report.drawing import INK, MUTED, NARROW, RULE, stack, tidy
from fedctr.report.lifts import percent, versus
from fedctr.report.page import Figure, Table, number, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_LIMITS = ("mean", "low", "high", "always_valid_low", "always_valid_high")
_PANEL = 1.05  # inches for each comparison


def daily_ctr(days: pd.DataFrame, names: Sequence[str]) -> Figure:
    """The CTR of each arm on each day.

    Args:
        days: the content of ``days.parquet``.
        names: of the arms, in the order of the test.
    """
    arms = {name: days[days["arm"] == name] for name in names}

    def draw(canvas: "Canvas") -> None:
        from matplotlib.ticker import MaxNLocator

        width, height = canvas.get_size_inches()
        axes = canvas.subplots()
        lines = -(-len(arms) // 2)
        top = 0.12 + 0.19 * lines
        canvas.subplots_adjust(left=0.6 / width, right=1 - 0.1 / width, top=1 - top / height, bottom=0.5 / height)
        first = days["day"].min()
        if first < 0:
            axes.axvspan(first - 0.5, -0.5, color=RULE, alpha=0.5, lw=0)
            axes.text(first - 0.4, 0.98, "before", transform=axes.get_xaxis_transform(), va="top", fontsize=8)
        for (name, rows), (colour, mark) in zip(arms.items(), SERIES * len(arms), strict=False):
            axes.plot(rows["day"], rows["ctr"], color=colour, marker=mark, ms=3.5, lw=1.3, label=name)
        axes.set_xlim(first - 0.5, days["day"].max() + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("day of the test")
        axes.set_ylabel("CTR")
        tidy(axes)
        canvas.legend(loc="upper left", ncols=2, frameon=False, labelcolor=INK, borderaxespad=0.1, columnspacing=1)

    return Figure(
        name="daily-ctr",
        title="CTR of each day",
        caption="One line for each arm. On the days before the test all arms do the same.",
        size=(NARROW, 2.9),
        draw=draw,
        numbers=Table(
            "CTR of each day",
            ("day", "arm", "users", "impressions", "clicks", "CTR"),
            tuple(
                (
                    number(row["day"], "d"),
                    *words(row["arm"]),
                    *(number(row[key], ",d") for key in ("users", "impressions", "clicks")),
                    number(row["ctr"]),
                )
                for row in days.to_dict("records")
            ),
        ),
    )


def lift_so_far(curve: pd.DataFrame) -> Figure | None:
    """The lift of CTR up to each day, with limits for one look and limits for all.

    Args:
        curve: the content of ``curve.parquet``.

    Returns:
        The figure; None where no day has a lift with limits.
    """
    curve = curve[(curve["metric"] == "ctr") & curve["low"].notna()]
    if curve.empty:
        return None
    pairs = {
        versus({"arm": arm, "baseline": baseline}): rows
        for (arm, baseline), rows in curve.groupby(["arm", "baseline"], sort=False)
    }

    def draw(canvas: "Canvas") -> None:
        from matplotlib.ticker import MaxNLocator

        panels = stack(canvas, list(pairs), "lift of CTR up to the day")
        for panel, rows in zip(panels, pairs.values(), strict=True):
            x = rows["day"]
            panel.fill_between(x, rows["always_valid_low"], rows["always_valid_high"], color=BLUE, alpha=0.2, lw=0)
            panel.plot(x, rows["low"], x, rows["high"], color=BLUE, lw=0.8)
            panel.plot(x, rows["mean"], color=BLUE, marker="o", ms=3.5, lw=1.5)
            panel.axhline(0, color=MUTED, lw=1)
            percent(panel, "y")
        # The first evenings know so little that their limits would set the scale for all.
        settled = curve[curve["day"] >= curve["day"].max() // 4]
        panels[-1].set_ylim(settled["always_valid_low"].min(), settled["always_valid_high"].max())
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[-1].set_xlabel("day of the test")

    return Figure(
        name="lift-so-far",
        title="Lift of CTR up to each day",
        caption="One panel for each comparison. Lines: the 95 % interval for somebody who looks on that day alone. "
        "Band: limits that hold on all days at once, so that looking every day raises no false alarm.",
        size=(NARROW, 0.7 + _PANEL * len(pairs)),
        draw=draw,
        numbers=Table(
            "Lift of CTR up to each day",
            ("day", "comparison", "lift", "low", "high", "always valid low", "always valid high", "users"),
            tuple(
                (
                    number(row["day"], "d"),
                    *words(name),
                    *(number(row[key], "+.2%") for key in _LIMITS),
                    number(row["users"], ",d"),
                )
                for name, rows in pairs.items()
                for row in rows.to_dict("records")
            ),
        ),
    )
