"""The strategies side by side, as text."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fedctr.block import Block
from fedctr.counted import counted
from fedctr.verdict import REFERENCE

FIGURES_WIDTH = 117  # columns of the terminal that all but the names take up
NAMES_WIDTH = 36  # longer names are folded

Cell = Callable[[str, dict[str, Any]], str]


def render(summary: dict[str, Any], *, ranked: bool = False) -> str:
    """A table with one row per strategy.

    Args:
        summary: the content of ``summary.json``.
        ranked: sort the rows by their difference in GAUC against no fine-tuning, the largest first, and show it instead
            of the differences against fine-tuning. Else they stand in the order of the summary.
    """
    block = block_of(summary, ranked=ranked)
    names = min(max(map(len, summary["strategies"]), default=0), NAMES_WIDTH)
    table = Table(
        title=escape(block.title),
        caption=escape(caption_of(summary, ranked=ranked)),
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    for index, heading in enumerate(block.heading):
        justify: Literal["left", "right"] = "left" if index < block.left else "right"
        table.add_column(heading, justify=justify, overflow="fold", min_width=0 if index else names)
    for line in block.lines:
        table.add_row(*map(escape, line))
    console = Console(width=FIGURES_WIDTH + names, record=True, file=None, color_system=None, force_jupyter=False)
    with console.capture() as text:
        console.print(table)
    return text.get()


def block_of(summary: dict[str, Any], *, ranked: bool = False) -> Block:
    """The table in words; arguments as for :func:`render`."""
    entries = summary["strategies"]
    covered = {entry["users_covered"] for entry in entries.values()}
    columns = _RANKED if ranked else _IN_ORDER
    lines = []
    for name in order_of(entries, ranked=ranked):
        entry = entries[name]
        tuned_with = "" if entry["learning_rate"] is None else f"{entry['learning_rate']:g} x {entry['epochs']}"
        lines.append([name, tuned_with, *(cell(name, entry) for cell in columns.values())])
    seeds = summary["seeds"]
    title = (
        f"{summary['model']} on {summary['dataset']}, global CTR {summary['global_ctr']:.3f}, "
        f"{counted(seeds, 'seed')}; "
        f"{max(covered, default=0):,} of {summary['users']:,} users have both classes in test"
    )
    return Block(title, ["strategy", "tuned with", *columns], lines, left=2)


def order_of(entries: Mapping[str, dict[str, Any]], *, ranked: bool) -> list[str]:
    """Names of the strategies as they stand in the table; arguments as for :func:`render`."""
    return sorted(entries, key=lambda name: -_gauc_gain(entries[name])) if ranked else list(entries)


def caption_of(summary: dict[str, Any], *, ranked: bool = False) -> str:
    """What stands below the table; arguments as for :func:`render`."""
    entries = summary["strategies"]
    chosen = ", chosen on validation" if any(entry["validation"] for entry in entries.values()) else ""
    return (
        f"Tuned with: learning rate x epochs{chosen}. Differences in {'user AUC and GAUC' if ranked else 'user AUC'}, "
        "95 % intervals (paired bootstrap over users and seeds); * excludes 0 after correction for all comparisons made"
        + (" in the same figure." if ranked else ".")
        + _gates(entries)
        + _diverged(entries)
    )


def _figure(key: str) -> Cell:
    return lambda name, entry: number(entry[key])


def _harmed(name: str, entry: dict[str, Any]) -> str:
    harmed = entry["share_harmed"]
    return "" if harmed is None or name == REFERENCE else f"{harmed:.0%}"


def _against(baseline: str, *, gauc: bool = False) -> Cell:
    def cell(name: str, entry: dict[str, Any]) -> str:
        compared = entry[f"vs_{baseline.replace('-', '_')}"]
        if compared is None or name == baseline:
            return ""
        return difference(compared["gauc_impressions_difference"] if gauc else compared)

    return cell


# Heading to what stands below it, of a strategy's name and entry.
_IN_ORDER: dict[str, Cell] = {
    "user AUC": _figure("auc_user_mean"),
    "GAUC": _figure("gauc_impressions"),
    "log loss": _figure("log_loss"),
    "harmed": _harmed,
    f"vs {REFERENCE}": _against(REFERENCE),
    "vs fine-tuning": _against("fine-tuning"),
}
_RANKED: dict[str, Cell] = {
    "log loss": _figure("log_loss"),
    "harmed": _harmed,
    "user AUC": _figure("auc_user_mean"),
    f"vs {REFERENCE}": _against(REFERENCE),
    "GAUC": _figure("gauc_impressions"),
    f"GAUC vs {REFERENCE}": _against(REFERENCE, gauc=True),
}


def _gauc_gain(entry: dict[str, Any]) -> float:
    """By how much GAUC is above that of no fine-tuning; without a number, the least."""
    compared = entry["vs_no_fine_tuning"]
    gain: float | None = compared and compared["gauc_impressions_difference"]["mean"]
    return float("-inf") if gain is None else gain


def _gates(entries: dict[str, Any]) -> str:
    """What each gate removes and costs."""
    told = ""
    for name, entry in entries.items():
        if gate := entry.get("gate"):
            removed, lost = _share(gate["harm_removed"]), _share(gate["gain_lost"])
            twin = gate["ungated"]
            told += f" {name} removes {removed} of the harm that {twin} does to users' AUC, and {lost} of its gain."
    return told


def _share(interval: dict[str, Any]) -> str:
    """A share with its limits, in percent."""
    mean, low, high = (interval[key] for key in ("mean", "low", "high"))
    if mean is None:
        return "none"
    return f"{mean:.0%}" if low is None else f"{mean:.0%} [{low:.0%}, {high:.0%}]"


def _diverged(entries: dict[str, Any]) -> str:
    """Names the strategies whose models diverged for some users."""
    counts = {name: entry["diverged"] for name, entry in entries.items() if entry["diverged"]}
    told = ", ".join(f"{name} ({count:,})" for name, count in counts.items())
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
