"""The arms of an A/B test side by side."""

from collections.abc import Mapping
from typing import Any

from fedctr.block import Block, text

Summary = Mapping[str, Any]  # the content of summary.json


def render(summary: Summary) -> str:
    """A table with a row for each arm, as text."""
    return text([block_of(summary)], caption_of(summary))


def block_of(summary: Summary) -> Block:
    """The table in words."""
    found = {(entry["arm"], entry["baseline"]): entry["ctr"] for entry in summary["lifts"]}
    baselines = list(dict.fromkeys(baseline for _, baseline in found))
    lines = [
        [
            name,
            format(entry["users"], ","),
            _number(entry["clicks_per_user"], ".3f"),
            _number(entry["ctr"], ".4f"),
            *(lift_of(found.get((name, baseline))) for baseline in baselines),
            _number(entry["regret"], ".1%"),
        ]
        for name, entry in summary["arms"].items()
    ]
    title = f"{summary['model']} in a {summary['world']} world, {summary['users']:,} users, {summary['days']} days"
    against = [f"CTR vs {baseline}" for baseline in baselines]
    return Block(title, ["arm", "users", "clicks per user", "CTR", *against, "regret"], lines, left=1)


def caption_of(summary: Summary) -> str:
    """What stands below the table."""
    told = "A/A test: all arms do what the control does. " if summary["aa"] else ""
    count = len(summary["lifts"])
    corrected = f" after correction for all {count} comparisons" if count > 1 else ""
    told += (
        "Lifts are relative, with 95 % intervals over users, less what their days before the test predict (CUPED); * "
        f"excludes 0{corrected}. Regret: the share of the oracle's clicks that is missed."
    )
    if fit := summary["fit"]:
        told += (
            f" The world's click model, on the {fit['samples']:,} latest samples of the log: AUC {fit['auc']:.3f}, "
            f"log loss {fit['log_loss']:.3f} ({fit['log_loss_of_ctr']:.3f} by the CTR alone), "
            f"{fit['calibration']:.2f} clicks predicted for each observed one."
        )
    diverged = [f"{name} ({entry['diverged']:,})" for name, entry in summary["arms"].items() if entry["diverged"]]
    if diverged:
        told += f" Models diverged on some visits, which were shown what retrieval found first: {', '.join(diverged)}."
    return told


def lift_of(figures: Mapping[str, Any] | None) -> str:
    """A relative lift with its limits, a star where the corrected ones exclude 0; empty where nothing was compared."""
    if figures is None:
        return ""
    if figures["low"] is None:
        return f"{_number(figures['mean'], '+.1%')} "
    certain = figures["corrected_low"] > 0 or figures["corrected_high"] < 0
    return f"{figures['mean']:+.1%} [{figures['low']:+.1%}, {figures['high']:+.1%}]{'*' if certain else ' '}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
