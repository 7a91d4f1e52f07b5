"""The sentences that an A/B test is quoted by, and its table, of lifts made up for them."""

from typing import Any

import pytest

from fedctr.online.settings import ABTest, Arm
from fedctr.online.table import block_of, render
from fedctr.online.words import conclusion, headline

UP, PERHAPS, NOTHING, DOWN = (0.03, 0.02, 0.01), (0.03, 0.01, -0.01), (0.01, -0.01, -0.02), (-0.03, -0.04, -0.05)
NONE = "In no group by drift before the test is a change shown."


def figures(mean: float, low: float, corrected_low: float) -> dict[str, Any]:
    """A lift with limits that lie evenly around it."""
    limits = {"low": low, "high": 2 * mean - low, "corrected_low": corrected_low}
    return {"mean": mean, **limits, "corrected_high": 2 * mean - corrected_low}


UNKNOWN = {"mean": None, "low": None, "high": None, "corrected_low": None, "corrected_high": None}
STILL = {"0-0.05": figures(*NOTHING), "0.05-0.1": figures(*NOTHING), "0.1-0.2": figures(*NOTHING)}


def summary(ctr: dict[str, Any], groups: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """Of two arms."""
    arm = {"users": 1200, "ctr": 0.25, "clicks_per_user": 7.125, "regret": 0.1, "diverged": 0}
    lift = {"arm": "mine", "baseline": "none", "ctr": ctr, "by_drift": STILL if groups is None else groups}
    return {
        "model": "lr",
        "world": "synthetic",
        "fit": None,
        "users": 2400,
        "days": 14,
        "aa": False,
        "arms": {"none": arm, "mine": arm},
        "sample_ratio_p_value": 0.5,
        "lifts": [lift],
        **keys,
    }


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (UP, "mine raises CTR against none: +3.0% [+2.0%, +4.0%]."),
        (
            PERHAPS,
            "mine perhaps raises CTR against none: +3.0% [+1.0%, +5.0%], without correction for all comparisons.",
        ),
        (NOTHING, "mine is not shown to change CTR against none: +1.0% [-1.0%, +3.0%]."),
        (DOWN, "mine lowers CTR against none: -3.0% [-4.0%, -2.0%]."),
    ],
)
def test_a_lift_is_called_what_its_limits_allow(found: tuple[float, float, float], sentence: str) -> None:
    assert conclusion(summary(figures(*found))) == [f"{sentence} {NONE}"]


def test_too_few_clicks_say_nothing() -> None:
    said = conclusion(summary(UNKNOWN, {"0-0.05": UNKNOWN}))
    assert said == ["Of mine against none nothing can be said: fewer than 50 users of one of them clicked."]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"0.05-0.1": UP, "0.1-0.2": UP},
            "a gain is shown from 0.05 on (0.05-0.1: +3.0% [+2.0%, +4.0%]; 0.1-0.2: +3.0% [+2.0%, +4.0%]).",
        ),
        ({"0-0.05": UP}, "a gain is shown in some groups (0-0.05: +3.0% [+2.0%, +4.0%])."),
        ({"0.1-0.2": PERHAPS}, None),
        (
            {"0-0.05": DOWN, "0.1-0.2": UP},
            "a gain is shown from 0.1 on (0.1-0.2: +3.0% [+2.0%, +4.0%]) and a loss is shown in some groups (",
        ),
        (dict.fromkeys(STILL, UP), "a gain is shown in every group (0-0.05: "),
    ],
)
def test_from_which_drift_on(changed: dict[str, tuple[float, float, float]], told: str | None) -> None:
    groups = STILL | {label: figures(*found) for label, found in changed.items()}
    (said,) = conclusion(summary(figures(*UP), groups | {"0.2-1": UNKNOWN}))
    assert f" By drift before the test {told}" in said if told else NONE in said


def test_the_first_label_correction_is_what_the_test_is_about() -> None:
    lifts = [
        {"arm": arm, "baseline": baseline, "ctr": figures(*UP), "by_drift": STILL}
        for baseline in ("none", "plain")
        for arm in ("other", "label-correction", "label-correction[clip]")
    ]
    found = summary(UNKNOWN, lifts=lifts)
    first, second, third = conclusion(found)[:3]
    assert first.startswith("label-correction raises CTR against none")
    assert second.startswith("label-correction raises CTR against plain")
    assert third.startswith("other raises")
    assert headline(found) == "label-correction raises CTR against none: +3.0% [+2.0%, +4.0%]."


def test_arms_of_other_sizes_than_chance_gives_are_an_alarm() -> None:
    alarm, _ = conclusion(summary(figures(*UP), sample_ratio_p_value=0.0004))
    assert alarm.startswith(
        "Do not read this test: its arms have 1,200, 1,200 users, and equally large ones differ as "
    )
    assert len(conclusion(summary(figures(*UP), sample_ratio_p_value=0.001))) == 1


@pytest.mark.parametrize(
    ("ctr", "told"),
    [
        (figures(*NOTHING), "no comparison shows a lift of CTR, as it should be."),
        (figures(*PERHAPS), "no comparison shows a lift of CTR, as it should be."),
        (figures(*UP), "seems to be shown (mine against none +3.0% [+2.0%, +4.0%]); chance does that in one A/A "),
        (UNKNOWN, "nothing can be said, for fewer than 50 users of some arm clicked."),
    ],
)
def test_an_aa_test_must_find_nothing(ctr: dict[str, Any], told: str) -> None:
    (said,) = conclusion(summary(ctr, aa=True))
    assert told in said


def test_the_table_has_a_lift_for_every_baseline() -> None:
    arm = summary(UNKNOWN)["arms"]["none"]
    three = summary(figures(*UP), arms={"none": arm, "plain": arm | {"diverged": 3}, "mine": arm | {"ctr": None}})
    three["lifts"].append({"arm": "mine", "baseline": "plain", "ctr": figures(*NOTHING)})
    block = block_of(three)
    assert block.heading == ["arm", "users", "clicks per user", "CTR", "CTR vs none", "CTR vs plain", "regret"]
    assert block.lines == [
        ["none", "1,200", "7.125", "0.2500", "", "", "10.0%"],
        ["plain", "1,200", "7.125", "0.2500", "", "", "10.0%"],
        ["mine", "1,200", "7.125", "-", "+3.0% [+2.0%, +4.0%]*", "+1.0% [-1.0%, +3.0%] ", "10.0%"],
    ]
    assert "correction for all 2 comparisons" in render(three)
    assert "correction" not in render(summary(UNKNOWN))
    assert "found first: plain (3)." in render(three)


def test_every_arm_is_compared_with_the_control_and_with_plain_fine_tuning() -> None:
    arms = ("label-correction", Arm("fine-tuning", "plain"), "no-fine-tuning", Arm("fine-tuning", "slow", 0.001))
    assert ABTest.of({"arms": arms}, "test").pairs == [
        ("label-correction", "no-fine-tuning"),
        ("plain", "no-fine-tuning"),
        ("slow", "no-fine-tuning"),
        ("label-correction", "plain"),
        ("slow", "plain"),
    ]
    assert ABTest.of({"arms": ["no-fine-tuning", "pairwise"]}, "test").pairs == [("pairwise", "no-fine-tuning")]
