"""The strategies side by side, as text."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

FIGURES_WIDTH = 117  # columns of the terminal that all but the names take up
NAMES_WIDTH = 36  # longer names are folded


def render(summary: dict[str, Any]) -> str:
    """A table with one row per strategy.

    Args:
        summary: the content of ``summary.json``.
    """
    covered = {entry["users_covered"] for entry in summary["strategies"].values()}
    users = f"{max(covered, default=0):,} of {summary['users']:,} users have both classes in test"
    chosen = ", chosen on validation" if any(entry["validation"] for entry in summary["strategies"].values()) else ""
    names = min(max(map(len, summary["strategies"]), default=0), NAMES_WIDTH)
    table = Table(
        title=f"{escape(summary['model'])} on {escape(summary['dataset'])}, global CTR {summary['global_ctr']:.3f}, "
        f"{summary['seeds']} seeds; {users}",
        caption=f"Tuned with: learning rate x epochs{chosen}. Differences in user AUC, 95 % intervals (paired "
        "bootstrap over users and seeds); * excludes 0 after correction for all comparisons made." + _diverged(summary),
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    for heading, justify in {
        "strategy": "left",
        "tuned with": "left",
        "user AUC": "right",
        "GAUC": "right",
        "log loss": "right",
        "harmed": "right",
        "vs no-fine-tuning": "right",
        "vs fine-tuning": "right",
    }.items():
        width = names if heading == "strategy" else None
        table.add_column(heading, justify=justify, overflow="fold", min_width=width)  # type: ignore[arg-type]
    for name, entry in summary["strategies"].items():
        harmed = entry["share_harmed"]
        table.add_row(
            escape(name),
            "" if entry["learning_rate"] is None else f"{entry['learning_rate']:g} x {entry['epochs']}",
            *(number(entry[figure]) for figure in ("auc_user_mean", "gauc_impressions", "log_loss")),
            "" if harmed is None or name == "no-fine-tuning" else f"{harmed:.0%}",
            "" if name == "no-fine-tuning" else difference(entry["vs_no_fine_tuning"]),
            "" if name == "fine-tuning" else difference(entry["vs_fine_tuning"]),
        )
    console = Console(width=FIGURES_WIDTH + names, record=True, file=None, color_system=None, force_jupyter=False)
    with console.capture() as text:
        console.print(table)
    return text.get()


def _diverged(summary: dict[str, Any]) -> str:
    """Names the strategies whose models diverged for some users."""
    counts = {name: entry["diverged"] for name, entry in summary["strategies"].items() if entry["diverged"]}
    told = ", ".join(f"{escape(name)} ({count:,})" for name, count in counts.items())
    return f" Models of some users and seeds diverged and count as AUC 0.5: {told}." if told else ""


def number(value: float | None, form: str = ".4f") -> str:
    """A figure, or a dash where there is none."""
    if value is None:
        return "-"
    return format(value, form) if abs(value) < 1000 else f"{value:.1e}"  # models that all but diverged


def difference(interval: dict[str, Any] | None) -> str:
    """A difference with its limits, a star where the corrected ones exclude 0; empty where nothing was compared."""
    if interval is None:
        return ""
    if interval["low"] is None:
        return f"{number(interval['mean'], '+.4f')} "
    certain = interval["corrected_low"] > 0 or interval["corrected_high"] < 0
    star = "*" if certain else " "
    return f"{interval['mean']:+.4f} [{interval['low']:+.4f}, {interval['high']:+.4f}]{star}"
