"""What a test could find, told before its first day: the power of its size, and the size that a lift needs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedctr.block import Block, text
from fedctr.counted import counted
from fedctr.folder import write_whole
from fedctr.online.lift import METRICS
from fedctr.online.plan import Traffic, lift_found, power, users_needed
from fedctr.online.run import OnlineRun
from fedctr.statistics import LEVEL

LIFTS = (0.01, 0.02, 0.05, 0.1)
WANTED = 0.8  # power
_NAMES = {"ctr": "CTR", "clicks_per_user": "clicks per user"}


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a test could find.

    Attributes:
        summary: the content of ``plan.json``.
        folder: the run folder, in which the test goes on.
    """

    summary: Mapping[str, Any]
    folder: Path

    def table(self) -> str:
        """Power and users needed, as text."""
        return render(self.summary)


def forecast(run: OnlineRun) -> Forecast:
    """Measure the days before a test, and write what they promise into ``plan.json``.

    Args:
        run: of which the pre-period is finished.

    Raises:
        FedctrError: when the pre-period is too short to plan by, or nobody clicked in it.
    """
    settings, daily = run.settings, run.daily(before=0)
    comparisons = len(settings.pairs)
    level = 1 - (1 - LEVEL) / comparisons
    users, days = run.dataset.users // len(settings.arms), settings.days
    metrics = {}
    for metric in METRICS:
        traffic = Traffic.measure(metric, daily, run.dataset.users)
        metrics[metric] = {
            "smallest_lift": lift_found(traffic, users, days, WANTED, level),
            "power": [{"lift": lift, "power": power(traffic, lift, users, days, level)} for lift in LIFTS],
            "users_needed": [
                {"days": long, "lift": lift, "users": users_needed(traffic, lift, long, WANTED, level)}
                for long in dict.fromkeys((max(days // 2, 1), days, 2 * days))
                for lift in LIFTS
            ],
        }
    summary = {
        **{"world": settings.world.kind, "model": settings.model, "days": days, "pre_days": settings.pre_days},
        **{"arms": len(settings.arms), "users_per_arm": users, "comparisons": comparisons, "level": level},
        **{"wanted_power": WANTED, "metrics": metrics},
    }
    written = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_whole(run.folder / "plan.json", lambda file: file.write_text(written, encoding="utf-8"))
    return Forecast(summary, run.folder)


def render(summary: Mapping[str, Any]) -> str:
    """Two tables, as text.

    Args:
        summary: the content of ``plan.json``.
    """
    wanted = f"{summary['wanted_power']:.0%}"
    metrics = {_NAMES[metric]: entry for metric, entry in summary["metrics"].items()}
    lifts = [f"{lift:+.0%}" for lift in LIFTS]
    days = counted(summary["days"], "day")
    found = Block(
        f"Power of {days} with {summary['users_per_arm']:,} users in each of {summary['arms']} arms",
        ["metric", *lifts, f"found with {wanted}"],
        [
            [name, *(f"{cell['power']:.0%}" for cell in entry["power"]), f"{entry['smallest_lift']:+.1%}"]
            for name, entry in metrics.items()
        ],
        left=1,
    )
    width = len(LIFTS)
    needed = Block(
        f"Users that each arm needs for a power of {wanted}",
        ["metric", "days", *lifts],
        [
            [name, f"{row[0]['days']}", *(f"{cell['users']:,}" for cell in row)]
            for name, entry in metrics.items()
            for row in (
                entry["users_needed"][start : start + width] for start in range(0, len(entry["users_needed"]), width)
            )
        ],
        left=1,
    )
    return text([found, needed], _caption(summary))


def _caption(summary: Mapping[str, Any]) -> str:
    comparisons, level = summary["comparisons"], f"{summary['level']:.4g}"
    interval = (
        f"corrected for all {comparisons} comparisons, of level {level}" if comparisons > 1 else f"of level {level}"
    )
    return (
        f"Power is that of the interval {interval}, looked at once, after the last day. Measured on the "
        f"{summary['pre_days']} days before the test; what these predict of a user (CUPED) is taken to fade as fast as "
        "it does among them, so that rather too little is promised than too much."
    )
