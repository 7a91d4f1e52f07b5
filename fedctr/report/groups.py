"""Who gains: differences by drift and by number of local samples."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fedctr.kept.benchmark import BenchmarkRun
from fedctr.palette import BLUE
from fedctr.report.drawing import MUTED, NARROW, stack
from fedctr.report.page import Figure, Section, Table, Text, number, words
from fedctr.verdict import FEWEST, REFERENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_PANEL = 0.92  # inches for each strategy
_TITLES = {
    "by_drift": ("Gain against drift", "|local CTR - global CTR|"),
    "by_local_samples": ("Gain against the number of local samples", "local samples"),
}


def gains(run: BenchmarkRun) -> Section | None:
    """Differences against no fine-tuning in groups of users; None where nothing was compared."""
    entries = {
        spec: entry["vs_no_fine_tuning"]
        for spec, entry in run.strategies.items()
        if spec != REFERENCE and entry["vs_no_fine_tuning"] is not None
    }
    if not any(entry["users"] for entry in entries.values()):
        return None
    told = (
        "Change in user AUC against no fine-tuning, with 95 % intervals that are not corrected for the number of "
        f"groups. Groups of fewer than {FEWEST} users are in the numbers, not in the picture."
    )
    return Section("Who gains", (Text(told), *(_figure(key, entries) for key in _TITLES)))


def _figure(key: str, entries: Mapping[str, Mapping[str, Any]]) -> Figure:
    title, axis = _TITLES[key]
    names = list(next(iter(entries.values()))[key])
    users = [max((entry[key][name] or {"users": 0})["users"] for entry in entries.values()) for name in names]
    rows = tuple(
        (*words(spec, name), number(group["mean"], "+.4f"), number(group["low"], "+.4f"),
         number(group["high"], "+.4f"), number(group["users"], ",d"))
        for spec, entry in entries.items()
        for name, group in entry[key].items()
        if group is not None
    )  # fmt: skip

    def draw(canvas: "Canvas") -> None:
        panels = stack(canvas, list(entries), "change in user AUC")
        for panel, entry in zip(panels, entries.values(), strict=True):
            panel.axhline(0, color=MUTED, lw=1)
            for place, group in enumerate(entry[key].values()):
                if group is not None and group["low"] is not None and group["users"] >= FEWEST:
                    panel.plot([place, place], [group["low"], group["high"]], color=BLUE, lw=2)
                    panel.plot(place, group["mean"], "o", color=BLUE, ms=5)
            panel.locator_params(axis="y", nbins=4)
        labels = [f"{name}\n{count:,}" for name, count in zip(names, users, strict=True)]
        panels[-1].set_xticks(range(len(names)), labels)
        panels[-1].set_xlim(-0.5, len(names) - 0.5)
        panels[-1].set_xlabel(f"{axis}; below it, the number of users")

    return Figure(
        name=key.replace("_", "-"),
        title=title,
        caption="One panel for each strategy: mean change and its interval in each group.",
        size=(NARROW, 0.7 + _PANEL * len(entries)),
        draw=draw,
        numbers=Table(title, ("strategy", "group", "mean", "low", "high", "users"), rows),
    )
