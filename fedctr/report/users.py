"""Single users: how their differences spread, and whom a strategy helps and harms most."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fedctr.palette import BLUE, VERMILLION
from fedctr.report.drawing import MUTED, NARROW, PAPER, stack
from fedctr.report.page import Figure, Section, Table, Text, number, words
from fedctr.user_rows import Floats, TestRows
from fedctr.verdict import REFERENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

SHOWN = 10  # users most helped, and as many most harmed
_BINS = 40
_PANEL = 0.8  # inches for each strategy
_TAIL = 0.005  # of the users on either side, who are counted in the outermost bins


def spread(rows: TestRows) -> Figure | None:
    """How many users gain and lose how much with each strategy; None where nothing can be compared."""
    differences = {spec: gain[~np.isnan(gain)] for spec, gain in user_gains(rows).items()}
    differences = {spec: found for spec, found in differences.items() if len(found)}
    if not differences:
        return None
    edges = _edges(list(differences.values()))
    heights = {spec: _heights(found, edges) for spec, found in differences.items()}
    shares = {
        spec: [float(side.mean()) for side in (found < 0, found == 0, found > 0)] for spec, found in differences.items()
    }

    def draw(canvas: "Canvas") -> None:
        panels = stack(canvas, list(differences), "share of the users", above=0.05)
        half = _BINS // 2
        for panel, spec in zip(panels, differences, strict=True):
            panel.stairs(heights[spec][:half], edges[: half + 1], fill=True, color=VERMILLION, lw=0)
            panel.stairs(heights[spec][half:], edges[half:], fill=True, color=BLUE, lw=0)
            panel.axvline(0, color=MUTED, lw=1)
            lose, _, gain = shares[spec]
            behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}  # no line runs through the shares
            beside: dict[str, Any] = {"transform": panel.transAxes, "va": "top", "fontsize": 8.5, "bbox": behind}
            panel.text(0.01, 0.93, f"{lose:.0%} lose", ha="left", **beside)
            panel.text(0.99, 0.93, f"{gain:.0%} gain", ha="right", **beside)
            panel.locator_params(axis="y", nbins=2)
            panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        panels[-1].locator_params(axis="x", nbins=5)
        panels[-1].set_xlabel("change in the user's AUC, mean over seeds")

    quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
    table = Table(
        "Change in a user's AUC against no fine-tuning, mean over seeds: quantiles over users",
        ("strategy", "lose", "unchanged", "gain", *(f"{level:.0%}" for level in quantiles)),
        tuple(
            (
                *words(spec),
                *(number(share, ".1%") for share in shares[spec]),
                *(number(float(level), "+.4f") for level in np.quantile(found, quantiles)),
            )
            for spec, found in differences.items()
        ),
    )
    return Figure(
        name="users",
        title="Change in each user's AUC",
        caption="Share of the users by how much their AUC changes against no fine-tuning; users whose AUC stays the "
        "same are left out of the bars, and those beyond the axis are in its outermost ones.",
        size=(NARROW, 0.7 + _PANEL * len(differences)),
        draw=draw,
        numbers=table,
    )


def extremes(rows: TestRows, spec: str, global_ctr: float) -> Section | None:
    """The users whom a strategy helps and harms most; None where nobody has a difference."""
    gains = user_gains(rows).get(spec)
    if gains is None or np.isnan(gains).all():
        return None
    known = np.flatnonzero(~np.isnan(gains))
    ascending = known[np.argsort(gains[known], kind="stable")]
    harmed = [user for user in ascending[:SHOWN] if gains[user] < 0]
    helped = [user for user in ascending[::-1][:SHOWN] if gains[user] > 0]
    told = (
        f"Of {spec} against no fine-tuning, means over seeds. A user with few test samples moves far by chance, so "
        "these are where to look, not whom a strategy is good for."
    )
    return Section(
        "Users most helped and most harmed",
        (
            Text(told),
            _users("Most helped", helped, rows, spec, gains, global_ctr),
            _users("Most harmed", harmed, rows, spec, gains, global_ctr),
        ),
    )


def user_gains(rows: TestRows) -> dict[str, Floats]:
    """Strategy to its change in AUC against no fine-tuning, mean over seeds, float64 (users,); NaN where none."""
    published = rows.columns.get(REFERENCE)
    if published is None:
        return {}
    return {
        spec: (own["auc"] - published["auc"]).mean(axis=1) for spec, own in rows.columns.items() if spec != REFERENCE
    }


def _users(caption: str, chosen: list[np.intp], rows: TestRows, spec: str, gains: Floats, global_ctr: float) -> Table:
    own, published = rows.columns[spec], rows.columns[REFERENCE]
    lines = []
    for user in chosen:
        local_ctr = _local_ctr(own, user)
        lines.append(
            (
                *words(rows.users[int(user)]),
                number(local_ctr, ".3f"),
                number(None if local_ctr is None else local_ctr - global_ctr, "+.3f"),
                number(round(float(own["local_samples"][user].mean())), ",d"),
                number(int(own["samples"][user, 0]), ",d"),
                number(float(published["auc"][user].mean())),
                number(float(own["auc"][user].mean())),
                number(float(gains[user]), "+.4f"),
            )
        )
    heading = ("user", "local CTR", "drift", "local samples", "test samples", "AUC before", "AUC after", "change")
    return Table(caption, heading, tuple(lines))


def _local_ctr(own: Mapping[str, Floats], user: np.intp) -> float | None:
    samples = own["local_samples"][user].sum()
    return float(own["local_positives"][user].sum() / samples) if samples else None


def _edges(differences: list[Floats]) -> Floats:
    """Of bins that are the same for every strategy, with an edge at 0."""
    widest = max(float(np.abs(np.quantile(found, [_TAIL, 1 - _TAIL])).max()) for found in differences)
    return np.linspace(-1, 1, _BINS + 1) * (widest or 0.01)


def _heights(found: Floats, edges: Floats) -> Floats:
    """The share of the users in each bin; those who stay the same are in none."""
    moved = np.clip(found[found != 0], edges[0], edges[-1])
    heights: Floats = np.histogram(moved, edges)[0] / len(found)
    return heights
