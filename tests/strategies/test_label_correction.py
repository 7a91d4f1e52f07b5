import pytest
import torch

from fedctr.errors import FedctrError
from fedctr.strategy import soft_labels, strategies
from strategies.label_correction import LabelCorrection
from tests.engine import ANYTHING, local_of

# At a global CTR of one quarter: too many positives, too few, none, only positives, nothing at all.
USERS = local_of([1, 0], [1, 0, 0, 0, 0], [0], [1, 1], [])


def targets(strategy: LabelCorrection) -> list[list[float]]:
    found = soft_labels(strategy, USERS, ANYTHING)
    return [row[mask].tolist() for row, mask in zip(found, USERS.mask, strict=True)]


def nearly(*users: list[float]) -> list[object]:
    return [pytest.approx(user, abs=1e-6) for user in users]


def test_the_default_is_one_sided() -> None:
    assert LabelCorrection() == LabelCorrection(variant="one-sided")
    low = (0.25 - 0.2) / 0.8
    assert targets(LabelCorrection()) == nearly([0.5, 0], [1, low, low, low, low], [0.25], [0.25, 0.25], [])


def test_shift_may_leave_0_and_1_unless_it_is_clipped() -> None:
    assert targets(LabelCorrection("shift")) == nearly(
        [0.75, -0.25], [1.05, 0.05, 0.05, 0.05, 0.05], [0.25], [0.25, 0.25], []
    )
    assert targets(LabelCorrection("shift", clip=True)) == nearly(
        [0.75, 0], [1, 0.05, 0.05, 0.05, 0.05], [0.25], [0.25, 0.25], []
    )


def test_smoothed_trusts_a_users_ctr_by_its_samples() -> None:
    # Two pseudo-samples at one quarter: (1 + 0.5) / 4, (1 + 0.5) / 7, (0 + 0.5) / 3, (2 + 0.5) / 4.
    expected = []
    for ctr, labels in ((1.5 / 4, [1, 0]), (1.5 / 7, [1, 0, 0, 0, 0]), (0.5 / 3, [0]), (2.5 / 4, [1, 1])):
        high, low = (0.25 / ctr, 0.0) if ctr > 0.25 else (1.0, (0.25 - ctr) / (1 - ctr))
        expected.append([high if label else low for label in labels])
    assert targets(LabelCorrection("smoothed", strength=2)) == nearly(*expected, [])


def test_smoothed_without_pseudo_samples_is_one_sided_and_with_many_leaves_labels_alone() -> None:
    assert targets(LabelCorrection("smoothed", strength=0)) == targets(LabelCorrection())
    plain = [[float(label) for label in user] for user in ([1, 0], [1, 0, 0, 0, 0], [0], [1, 1], [])]
    assert targets(LabelCorrection("smoothed", strength=1e9)) == nearly(*plain)


def test_partial_goes_part_of_the_way_in_log_odds() -> None:
    # Odds of 1 and 1/3 meet at 3 ** -0.5, those of 1/4 and 1/3 at 12 ** -0.5; a user of one class keeps it.
    first, second = (odds / (1 + odds) for odds in (3**-0.5, 12**-0.5))
    low = (second - 0.2) / 0.8
    assert targets(LabelCorrection("partial")) == nearly([first / 0.5, 0], [1, low, low, low, low], [0], [1, 1], [])


def test_partial_is_plain_at_0_and_one_sided_at_1() -> None:
    plain = [[float(label) for label in user] for user in ([1, 0], [1, 0, 0, 0, 0], [0], [1, 1], [])]
    assert targets(LabelCorrection("partial", share=0)) == nearly(*plain)
    assert targets(LabelCorrection("partial", share=1)) == nearly(*targets(LabelCorrection()))


def test_anchored_aims_at_the_mean_prediction_on_the_users_own_samples() -> None:
    # Padding predicts one half throughout; it must not count.
    logits = torch.zeros_like(USERS.labels)
    logits[0, :2] = torch.tensor([0.1, 0.3]).logit()
    logits[1, :5] = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9]).logit()
    logits[2, :1] = torch.tensor([0.4]).logit()
    logits[3, :2] = torch.tensor([0.6, 0.8]).logit()
    local = local_of([1, 0], [1, 0, 0, 0, 0], [0], [1, 1], [], published_logits=logits)
    found = soft_labels(LabelCorrection("anchored"), local, ANYTHING)
    low = (0.7 - 0.2) / 0.8
    assert [row[mask].tolist() for row, mask in zip(found, local.mask, strict=True)] == nearly(
        [0.4, 0], [1, low, low, low, low], [0.4], [0.7, 0.7], []
    )


@pytest.mark.parametrize("variant", ["one-sided", "shift", "smoothed", "partial", "anchored"])
def test_one_user_does_not_depend_on_another(variant: str) -> None:
    strategy = strategies.create(f"label-correction[variant={variant}]")
    together = soft_labels(strategy, local_of([1, 0, 0], [1, 1, 0]), ANYTHING)
    for user, labels in enumerate(([1, 0, 0], [1, 1, 0])):
        assert torch.equal(together[user], soft_labels(strategy, local_of(labels), ANYTHING)[0])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("variant=two-sided", "variant 'two-sided' is none of one-sided, shift, smoothed, partial, anchored"),
        ("strength=-1", "strength -1 must be a number of at least 0"),
        ("strength=much", "strength 'much' must be a number of at least 0"),
        ("strength=nan", "strength nan must be a number of at least 0"),
        ("strength=inf", "strength inf must be a number of at least 0"),
        ("share=-0.1", "share -0.1 must be a number from 0 to 1"),
        ("share=1.1", "share 1.1 must be a number from 0 to 1"),
        ("share=half", "share 'half' must be a number from 0 to 1"),
        ("share=nan", "share nan must be a number from 0 to 1"),
        ("clip=maybe", "clip 'maybe' must be true or false"),
        ("variant=[1]", "variant \\[1\\] is none of"),
        ("k=1", "has no option 'k'; it has variant, clip, strength, share"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(FedctrError, match=message):
        strategies.create(f"label-correction[{spec}]")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("share=0.3", "share is read by variant=partial alone; choose that, or leave out share"),
        ("strength=5", "strength is read by variant=smoothed alone; choose that, or leave out strength"),
        ("clip=true", "clip is read by variant=shift alone; choose that, or leave out clip"),
        ("variant=smoothed,clip=true", "clip is read by variant=shift alone; choose that, or leave out clip"),
        ("variant=anchored,share=0.3", "share is read by variant=partial alone; choose that, or leave out share"),
    ],
)
def test_an_option_that_the_variant_does_not_read_is_refused(spec: str, message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        strategies.create(f"label-correction[{spec}]")
    assert str(caught.value) == f"strategy 'label-correction[{spec}]': {message}"


def test_a_default_spelt_out_is_no_mistake() -> None:
    assert strategies.create("label-correction[clip=false,strength=10,share=0.5]") == LabelCorrection()
