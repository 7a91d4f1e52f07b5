"""What a run is about, what strategies are compared against, and how much a difference shows.

There is one rule for every table, page and picture.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from fedctr.registry import parse, split_outside_brackets

REFERENCE = "no-fine-tuning"  # what every gain is over
BASELINES = {"vs_no_fine_tuning": REFERENCE, "vs_fine_tuning": "fine-tuning"}  # by key in summary.json
AGAINST = {"vs_no_fine_tuning": "no fine-tuning", "vs_fine_tuning": "plain fine-tuning"}  # they, in a sentence
Verdict = Literal["shown better", "perhaps better", "not shown", "perhaps worse", "shown worse"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)  # from the best to the worst
FEWEST = 20  # users of a group; fewer say little, and their intervals would set the scale of a picture
SAID: dict[Verdict, str] = {  # of what is compared
    "shown better": "raises {}",
    "perhaps better": "perhaps raises {}",
    "not shown": "is not shown to change {}",
    "perhaps worse": "perhaps lowers {}",
    "shown worse": "lowers {}",
}
RULE = (
    "A difference is called *shown* if its 95 % interval still excludes 0 after correction for all comparisons of its "
    "own experiment, *perhaps* if it does so before correction only, and *not shown* if it includes 0. Where nothing "
    "differs, about one comparison in twenty is called *perhaps*; experiments are not corrected for one another."
)


def verdict(interval: Mapping[str, float | None]) -> Verdict | None:
    """What an interval shows.

    Args:
        interval: ``low``, ``high``, ``corrected_low`` and ``corrected_high`` of a difference that is better the larger
            it is.

    Returns:
        The verdict; None where the interval has no limits.
    """
    low, high, corrected_low, corrected_high = (
        interval[key] for key in ("low", "high", "corrected_low", "corrected_high")
    )
    if low is None or high is None or corrected_low is None or corrected_high is None:
        return None
    if low > 0:
        return "shown better" if corrected_low > 0 else "perhaps better"
    if high < 0:
        return "shown worse" if corrected_high < 0 else "perhaps worse"
    return "not shown"


def subject_of(strategies: Sequence[str]) -> str | None:
    """What a run of these is about: a label correction, rather alone than composed, or else what is no baseline."""
    others = [spec for spec in strategies if spec not in BASELINES.values()]
    corrections = [spec for spec in others if "label-correction" in _names(spec)]
    corrections.sort(key=lambda spec: len(_names(spec)))
    tuned = [spec for spec in strategies if spec != REFERENCE]
    return next(iter([*corrections, *others, *tuned]), None)


def _names(spec: str) -> list[str]:
    """Of a strategy's components."""
    return [parse(part).name for part in split_outside_brackets(spec, "+")]
