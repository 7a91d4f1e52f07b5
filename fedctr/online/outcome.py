"""From daily rows to the numbers that an A/B test is quoted by."""

import importlib.metadata
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fedctr.folder import write_whole
from fedctr.online.bill import Bill, bill, render_bill, without_time
from fedctr.online.run import OnlineRun

PACKAGES = ("fedctr", "flwr", "ray", "torch", "numpy", "pandas")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an A/B test came to.

    Attributes:
        summary: the content of ``summary.json``.
        daily: the content of ``daily.parquet``.
        bill: the content of ``device_cost.json``.
        folder: the run folder.
    """

    summary: dict[str, Any]
    daily: pd.DataFrame
    bill: Bill
    folder: Path

    def table(self) -> str:
        """The arms side by side, as text."""
        return f"{render(self.summary)}\n{render_bill(self.bill)}"


def conclude(run: OnlineRun) -> Outcome:
    """Gather the days into ``daily.parquet`` and ``summary.json``."""
    settings, daily = run.settings, run.daily()
    costs = bill(run, daily)
    summary = {
        "world": settings.world.kind,
        "model": settings.model,
        "users": run.dataset.users,
        "days": settings.days,
        "aa": settings.aa,
        "seed": settings.seed,
        "control": settings.control.name,
        "arms": {arm.name: _figures(daily, arm.name) for arm in settings.arms},
        "device_cost": without_time(costs),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
    }
    write_whole(run.folder / "daily.parquet", lambda file: daily.to_parquet(file, index=False))
    text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_whole(run.folder / "summary.json", lambda file: file.write_text(text))
    return Outcome(summary, daily, costs, run.folder)


def _figures(daily: pd.DataFrame, arm: str) -> dict[str, Any]:
    """What the days of the test came to in one arm; None where nobody came."""
    rows = daily[(daily["arm"] == arm) & (daily["day"] >= 0)]
    total = rows[["impressions", "clicks", "expected_clicks", "oracle_clicks"]].sum()
    return {
        "users": int(rows["user"].nunique()),
        "visits": len(rows),
        "impressions": int(total["impressions"]),
        "clicks": int(total["clicks"]),
        "ctr": float(total["clicks"] / total["impressions"]) if len(rows) else None,
        "clicks_per_user": float(total["clicks"] / rows["user"].nunique()) if len(rows) else None,
        "regret": float(1 - total["expected_clicks"] / total["oracle_clicks"]) if len(rows) else None,
        "tuned": int(rows["tuned"].sum()),
        "diverged": int(rows["diverged"].sum()),
    }


def render(summary: dict[str, Any]) -> str:
    """A table with a row for each arm, as text."""
    arms = summary["arms"]
    told = "A/A test: all arms do what the control does. " if summary["aa"] else ""
    diverged = [f"{name} ({entry['diverged']:,})" for name, entry in arms.items() if entry["diverged"]]
    told += "Regret: the share of the oracle's clicks that is missed."
    if diverged:
        told += f" Models diverged on some visits, which were shown what retrieval found first: {', '.join(diverged)}."
    table = Table(
        title=f"{summary['model']} in a {summary['world']} world, {summary['users']:,} users, {summary['days']} days",
        caption=told,
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("arm")
    for heading in ("users", "clicks per user", "CTR", "regret"):
        table.add_column(heading, justify="right")
    for name, entry in arms.items():
        figures = (
            "-" if entry[key] is None else format(entry[key], form)
            for key, form in (("users", ","), ("clicks_per_user", ".3f"), ("ctr", ".4f"), ("regret", ".1%"))
        )
        table.add_row(name, *figures)
    console = Console(width=120, record=True, file=None, color_system=None, force_jupyter=False, markup=False)
    with console.capture() as text:
        console.print(table)
    return text.get()
