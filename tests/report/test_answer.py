import json
from collections.abc import Callable
from typing import Any

import pytest

from fedctr.cost import Cost, Sitting
from fedctr.kept.benchmark import BenchmarkRun
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


Make = Callable[..., BenchmarkRun]


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a run with some strategies, each with its differences against the two baselines."""

    def make(**entries: Any) -> BenchmarkRun:
        found = {
            name.replace("_", "-"): {"vs_no_fine_tuning": none, "vs_fine_tuning": plain, "share_harmed": 0.26}
            for name, (none, plain) in entries.items()
        }
        folder = tmp_path_factory.mktemp("run")
        (folder / "summary.json").write_text(json.dumps({"strategies": found}))
        return BenchmarkRun(folder)

    return make


ZERO = against(limits(-0.01, 0.02))


def test_a_difference_is_said_as_strongly_as_its_interval_allows(run: Make) -> None:
    found = run(label_correction=(against(limits(0.002, 0.006)), against(limits(0.0005, 0.0095))))
    assert answer(found) == (
        "label-correction raises user AUC against no fine-tuning (+0.0040 [+0.0020, +0.0060]) and perhaps raises user "
        "AUC against plain fine-tuning (+0.0050 [+0.0005, +0.0095], without correction for all comparisons), over 30 "
        "users and 3 seeds."
    )
    worse = run(label_correction=(against(limits(-0.006, -0.002)), ZERO))
    assert "label-correction lowers user AUC against no fine-tuning" in answer(worse)
    assert "and is not shown to change user AUC against plain fine-tuning" in answer(worse)


def test_without_a_baseline_or_an_auc_it_says_so(run: Make) -> None:
    assert answer(run(no_fine_tuning=(ZERO, None))).startswith("Nothing was compared")
    empty = dict.fromkeys(limits(0, 0), None)
    assert answer(run(label_correction=(empty, None))).startswith("Nothing was compared")
    assert for_whom(run(label_correction=(None, None))) == ""


def test_groups_that_gain_or_lose_are_named_unless_they_are_small(run: Make) -> None:
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


def test_the_cost_is_that_of_the_users_and_of_the_machine(run: Make) -> None:
    cost = Cost((Sitting("", 100.0, 2 * GB), Sitting("", 80.0, 3 * GB)))
    said = at_what_cost(run(label_correction=(against(limits(0.01, 0.03)), None)), cost)
    assert "changes a user's log loss by +0.0200 [+0.0100, +0.0300]" in said
    assert "26% of the users rank worse than without fine-tuning" in said
    assert "the whole run took 3.0 minutes and at most 3.00 GB of memory" in said
