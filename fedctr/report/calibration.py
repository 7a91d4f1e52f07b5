"""Whether predicted clicks are those that come, before and after fine-tuning."""

import math
from typing import TYPE_CHECKING

import numpy as np

from fedctr.kept.benchmark import BenchmarkRun
from fedctr.palette import BLUE, VERMILLION
from fedctr.report.drawing import INK, MUTED, NARROW, PAPER, shortened, tidy
from fedctr.report.page import Figure, Section, Table, number, words
from fedctr.user_rows import Floats, TestRows
from fedctr.verdict import REFERENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_GROUPS = 10
_ABREAST = 2
_PANEL = 2.0  # inches, square
_NEEDED = ("predicted_clicks", "positives", "samples")

Curve = tuple[Floats, Floats]  # predicted and observed CTR of each group


def calibration(run: BenchmarkRun, rows: TestRows) -> Section | None:
    """Predicted against observed CTR, of the published model and of every strategy; None without the published one."""
    before = run.strategies.get(REFERENCE)
    tuned = {spec: entry for spec, entry in run.strategies.items() if spec != REFERENCE}
    if before is None or not tuned or before["calibration"] is None:
        return None
    table = Table(
        "Predicted over observed clicks of all users: 1 is right, above 1 promises too much",
        ("strategy", "before", "after"),
        tuple(
            (*words(spec), number(before["calibration"], ".3f"), number(entry["calibration"], ".3f"))
            for spec, entry in tuned.items()
        ),
    )
    curves = {spec: _curve(rows.columns[spec]) for spec in run.strategies}
    return Section("Calibration, before and after", (table, _figure(curves)))


def _figure(curves: dict[str, Curve]) -> Figure:
    tuned = [spec for spec in curves if spec != REFERENCE]
    down = math.ceil(len(tuned) / _ABREAST)

    def draw(canvas: "Canvas") -> None:
        width, height = canvas.get_size_inches()
        panels = canvas.subplots(down, _ABREAST, squeeze=False, sharex=True, sharey=True)
        canvas.subplots_adjust(
            left=0.5 / width, right=1 - 0.08 / width, top=1 - 0.5 / height, bottom=0.5 / height, wspace=0.1, hspace=0.2
        )
        low, high = _limits(curves)
        for panel, spec in zip(panels.flat, tuned, strict=False):
            panel.plot([low, high], [low, high], color=MUTED, lw=1)
            panel.plot(*curves[REFERENCE], "s", color=VERMILLION, mfc=PAPER, ms=5, mew=1.4)
            panel.plot(*curves[spec], "o", color=BLUE, ms=4.5)
            panel.text(0, 1.03, shortened(spec, 26), transform=panel.transAxes, fontsize=9, va="bottom")
            panel.set(xlim=(low, high), ylim=(low, high))
            panel.locator_params(nbins=4)
            tidy(panel, "both")
        for panel in list(panels.flat)[len(tuned) :]:
            panel.set_visible(False)
        panels[-1, 0].set_xlabel("predicted CTR")
        panels[0, 0].set_ylabel("observed CTR")
        panels[0, 0].plot([], [], "s", color=VERMILLION, mfc=PAPER, mew=1.4, label="before: as published")
        panels[0, 0].plot([], [], "o", color=BLUE, label="after: as tuned")
        canvas.legend(loc="upper left", ncols=2, frameon=False, labelcolor=INK, borderaxespad=0.1, columnspacing=1)

    return Figure(
        name="calibration",
        title="Predicted and observed CTR",
        caption=f"Users in {_GROUPS} groups of equal size by predicted CTR, all seeds together. On the line, as "
        "many click as was predicted; below it, fewer.",
        size=(NARROW, 1.0 + _PANEL * down),
        draw=draw,
        numbers=Table(
            "Predicted and observed CTR of groups of users",
            ("strategy", "group", "predicted", "observed"),
            tuple(
                (*words(spec), number(place + 1, "d"), number(float(predicted)), number(float(observed)))
                for spec, curve in curves.items()
                for place, (predicted, observed) in enumerate(zip(*curve, strict=True))
            ),
        ),
    )


def _curve(own: dict[str, Floats]) -> Curve:
    """Users of all seeds in groups of equal size by predicted CTR; fewer groups where there are few users."""
    predicted, positives, samples = (own[name].ravel() for name in _NEEDED)
    known = np.isfinite(predicted) & (samples > 0)
    predicted, positives, samples = predicted[known], positives[known], samples[known]
    order = np.argsort(predicted / samples, kind="stable")
    groups = [group for group in np.array_split(order, _GROUPS) if len(group)]
    totals = np.array([[each[group].sum() for group in groups] for each in (predicted, positives, samples)])
    return totals[0] / totals[2], totals[1] / totals[2]


def _limits(curves: dict[str, Curve]) -> tuple[float, float]:
    everything = np.concatenate([part for curve in curves.values() for part in curve])
    low, high = float(everything.min(initial=1)), float(everything.max(initial=0))
    room = 0.05 * max(high - low, 0.01)
    return max(low - room, 0.0), min(high + room, 1.0)
