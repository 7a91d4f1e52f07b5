import pytest

from fedctr.verdict import VERDICTS, verdict


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
