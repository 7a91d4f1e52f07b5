from pathlib import Path
from typing import Any

from fedctr.cost import Cost, Sitting
from fedctr.finished_run import FinishedRun
from fedctr.report.answer import answer, at_what_cost, for_whom

GB = 1_000_000_000


def limits(low: float, high: float, wider: float = 0.001, users: int = 30) -> dict[str, Any]:
    return {
        "mean": (low + high) / 2,
        "low": low,
        "high": high,
        "corrected_low": low - wider,
        "corrected_high": high + wider,
        "users": users,
        "seeds": 3,
    }


def against(interval: dict[str, Any], **groups: Any) -> dict[str, Any]:
    return {**interval, "by_drift": {}, "by_local_samples": {}, "log_loss_user_mean_difference": interval, **groups}


def run(**entries: Any) -> FinishedRun:
    """A run with these strategies, each with its differences against the two baselines."""
    found = {
        name.replace("_", "-"): {"vs_no_fine_tuning": none, "vs_fine_tuning": plain, "share_harmed": 0.26}
        for name, (none, plain) in entries.items()
    }
    return FinishedRun(Path(), {"strategies": found}, {})


ZERO = against(limits(-0.01, 0.02))


def test_a_difference_is_said_as_strongly_as_its_interval_allows() -> None:
    found = run(label_correction=(against(limits(0.002, 0.006)), against(limits(0.0005, 0.0095))))
    assert answer(found) == (
        "label-correction raises user AUC against no fine-tuning (+0.0040 [+0.0020, +0.0060]) and perhaps raises user "
        "AUC against plain fine-tuning (+0.0050 [+0.0005, +0.0095], without correction for all comparisons), over 30 "
        "users and 3 seeds."
    )
    worse = run(label_correction=(against(limits(-0.006, -0.002)), ZERO))
    assert "label-correction lowers user AUC against no fine-tuning" in answer(worse)
    assert "and is not shown to change user AUC against plain fine-tuning" in answer(worse)


def test_the_page_is_about_the_first_label_correction_or_else_about_what_is_no_baseline() -> None:
    both = dict.fromkeys(("no_fine_tuning", "fine_tuning", "pairwise", "head_only+label_correction"), (ZERO, ZERO))
    assert run(**both).subject == "head-only+label-correction"
    assert run(no_fine_tuning=(ZERO, ZERO), fine_tuning=(ZERO, ZERO), pairwise=(ZERO, ZERO)).subject == "pairwise"
    assert run(no_fine_tuning=(ZERO, ZERO), fine_tuning=(ZERO, ZERO)).subject == "fine-tuning"
    assert run(no_fine_tuning=(ZERO, ZERO)).subject is None


def test_a_label_correction_alone_goes_before_one_with_others() -> None:
    composed = "label-correction[variant=shift]+head-only"
    strategies = dict.fromkeys(("no-fine-tuning", composed, "label-correction[variant=anchored]"))
    assert FinishedRun(Path(), {"strategies": strategies}, {}).subject == "label-correction[variant=anchored]"


def test_without_a_baseline_or_an_auc_it_says_so() -> None:
    assert answer(run(no_fine_tuning=(ZERO, None))).startswith("Nothing was compared")
    empty = dict.fromkeys(limits(0, 0), None)
    assert answer(run(label_correction=(empty, None))).startswith("Nothing was compared")
    assert for_whom(run(label_correction=(None, None))) == ""


def test_groups_that_gain_or_lose_are_named_unless_they_are_small() -> None:
    groups = {
        "by_drift": {"0-0.05": limits(-0.01, 0.01), "0.2-1": limits(0.01, 0.03), "0.1-0.2": None},
        "by_local_samples": {"<20": limits(-0.03, -0.01), ">=200": limits(0.1, 0.3, users=19)},
    }
    assert for_whom(run(label_correction=(against(limits(0, 1), **groups), None))) == (
        "For whom: users with a drift of 0.2-1 in size gain +0.0200 [+0.0100, +0.0300]; users with <20 local samples "
        "lose -0.0200 [-0.0300, -0.0100] (intervals of groups are not corrected for their number)."
    )
    alike = {"by_drift": {"0-0.05": limits(0.01, 0.03), "0.05-0.1": limits(0.02, 0.03)}}
    assert for_whom(run(label_correction=(against(limits(0, 1), **alike), None))) == (
        "For whom: users of any drift gain (intervals of groups are not corrected for their number)."
    )
    assert "no group of at least 20 users" in for_whom(run(label_correction=(ZERO, None)))


def test_the_cost_is_that_of_the_users_and_of_the_machine() -> None:
    cost = Cost((Sitting("", 100.0, 2 * GB), Sitting("", 80.0, 3 * GB)))
    said = at_what_cost(run(label_correction=(against(limits(0.01, 0.03)), None)), cost)
    assert "changes a user's log loss by +0.0200 [+0.0100, +0.0300]" in said
    assert "26% of the users rank worse than without fine-tuning" in said
    assert "the whole run took 3.0 minutes and at most 3.00 GB of memory" in said
