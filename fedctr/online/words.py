"""What an A/B test says, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedctr.online.lift import FEWEST
from fedctr.online.sample_ratio import ALARM
from fedctr.online.table import Summary, lift_of
from fedctr.verdict import SAID, Verdict, verdict

_SHOWN: tuple[Verdict, ...] = ("shown better", "shown worse")

Figures = Mapping[str, Any]  # of a lift, as in summary.json


def conclusion(summary: Summary) -> list[str]:
    """Whether each arm raises CTR over its baselines, for whom, and whether the test may be read at all.

    Args:
        summary: the content of ``summary.json``.

    Returns:
        Sentences, those of the first label correction first, as strong as the intervals: a lift is called shown where
        its interval excludes 0 after correction for all comparisons.
    """
    said = [] if summary["sample_ratio_p_value"] >= ALARM else [_alarm(summary)]
    if summary["aa"]:
        return [*said, _null(summary)]
    return said + [_lift(entry) + _by_drift(entry) for entry in _subject_first(summary["lifts"])]


def headline(summary: Summary) -> str:
    """The one sentence by which the test is quoted: of the first label correction, or else of the first arm."""
    if summary["aa"] or summary["sample_ratio_p_value"] < ALARM:
        return conclusion(summary)[0]
    return _lift(_subject_first(summary["lifts"])[0])


def _subject_first(lifts: Sequence[Figures]) -> list[Figures]:
    """The comparisons of the arm that the test is about, and then the others."""
    corrections = [entry["arm"] for entry in lifts if "label-correction" in entry["arm"]]
    return sorted(lifts, key=lambda entry: entry["arm"] not in corrections[:1])


def _alarm(summary: Summary) -> str:
    users = ", ".join(f"{entry['users']:,}" for entry in summary["arms"].values())
    return (
        f"Do not read this test: its arms have {users} users, and equally large ones differ as much with a probability "
        f"of {summary['sample_ratio_p_value']:.1g}, so something decides who is counted in which arm."
    )


def _null(summary: Summary) -> str:
    """Of a test in which there is nothing to find."""
    lifts = summary["lifts"]
    judged = [verdict(entry["ctr"]) for entry in lifts]
    shown = [entry for entry, found in zip(lifts, judged, strict=True) if found in _SHOWN]
    if shown:
        told = "; ".join(f"{_pair(entry)} {_quoted(entry['ctr'])}" for entry in shown)
        return (
            f"A/A test: all arms did the same, yet a lift of CTR seems to be shown ({told}); chance does that in one "
            "A/A test in twenty, so try another salt."
        )
    if None in judged:
        return f"A/A test: nothing can be said, for fewer than {FEWEST} users of some arm clicked."
    return "A/A test: all arms did the same, and no comparison shows a lift of CTR, as it should be."


def _lift(entry: Figures) -> str:
    figures = entry["ctr"]
    found = verdict(figures)
    if found is None:
        return f"Of {_pair(entry)} nothing can be said: fewer than {FEWEST} users of one of them clicked."
    weak = ", without correction for all comparisons" if found.startswith("perhaps") else ""
    return f"{entry['arm']} {SAID[found].format('CTR')} against {entry['baseline']}: {_quoted(figures)}{weak}."


def _by_drift(entry: Figures) -> str:
    """In which groups by drift a lift is shown; nothing where there are no groups to tell of."""
    judged = {label: verdict(group) for label, group in entry["by_drift"].items()}
    known = [label for label, found in judged.items() if found is not None]
    told = []
    for direction, verb in zip(_SHOWN, ("a gain", "a loss"), strict=True):
        labels = [label for label in known if judged[label] == direction]
        if labels:
            figures = "; ".join(f"{label}: {_quoted(entry['by_drift'][label])}" for label in labels)
            told.append(f"{verb} is shown {_where(labels, known)} ({figures})")
    if told:
        return f" By drift before the test {' and '.join(told)}."
    return " In no group by drift before the test is a change shown." if known else ""


def _where(labels: list[str], known: list[str]) -> str:
    """Of groups such as ``0.1-0.2``, in ascending order."""
    if labels == known:
        return "in every group"
    return f"from {labels[0].partition('-')[0]} on" if labels == known[-len(labels) :] else "in some groups"


def _pair(entry: Figures) -> str:
    return f"{entry['arm']} against {entry['baseline']}"


def _quoted(figures: Figures) -> str:
    """Without the star, for words say it."""
    return lift_of(figures).rstrip("* ")
