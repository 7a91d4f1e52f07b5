import pytest

from fedctr.verdict import VERDICTS, subject_of, verdict


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((0.001, 0.005, 0.0005, 0.006), "shown better"),
        ((0.001, 0.005, -0.0005, 0.006), "perhaps better"),
        ((-0.001, 0.005, -0.002, 0.006), "not shown"),
        ((0.0, 0.005, 0.0, 0.006), "not shown"),
        ((0.0, 0.0, 0.0, 0.0), "not shown"),
        ((-0.005, -0.001, -0.006, 0.001), "perhaps worse"),
        ((-0.005, -0.001, -0.006, -0.0005), "shown worse"),
        ((None, None, None, None), None),
    ],
)
def test_a_verdict_is_as_strong_as_the_interval(limits: tuple[float | None, ...], expected: str | None) -> None:
    keys = ("low", "high", "corrected_low", "corrected_high")
    assert verdict(dict(zip(keys, limits, strict=True))) == expected


def test_verdicts_are_listed_from_the_best_to_the_worst() -> None:
    assert VERDICTS == ("shown better", "perhaps better", "not shown", "perhaps worse", "shown worse")


def test_a_run_is_about_the_first_label_correction_or_else_about_what_is_no_baseline() -> None:
    baselines = ["no-fine-tuning", "fine-tuning"]
    assert subject_of([*baselines, "pairwise", "head-only+label-correction"]) == "head-only+label-correction"
    assert subject_of([*baselines, "pairwise"]) == "pairwise"
    assert subject_of(baselines) == "fine-tuning"
    assert subject_of(["no-fine-tuning"]) is None


def test_a_label_correction_alone_goes_before_one_with_others() -> None:
    composed, alone = "label-correction[variant=shift]+head-only", "label-correction[variant=anchored]"
    assert subject_of(["no-fine-tuning", composed, alone]) == alone
