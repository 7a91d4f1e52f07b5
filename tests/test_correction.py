import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fedctr.correction import between, gap_only, one_sided, shift, smoothed_ctr, wrong_direction

Correction = Callable[[Tensor, Tensor, Tensor], Tensor]

# A user's numbers of positives and negatives, not both zero.
users = st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(any)
ctrs = users.map(lambda user: user[0] / sum(user))
targets = st.floats(0, 1, allow_subnormal=False)
inner_targets = st.floats(0.01, 0.99)


def column(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def pair(correction: Correction, ctr: float, target: float) -> list[float]:
    """The labels for a positive and for a negative."""
    found: list[float] = correction(torch.tensor([[1.0, 0.0]]).double(), column(ctr), column(target))[0].tolist()
    return found


def labels_of(user: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Plain labels (1, samples) and the local CTR (1, 1)."""
    labels = torch.tensor([[1.0] * user[0] + [0.0] * user[1]], dtype=torch.float64)
    return labels, labels.mean(1, keepdim=True)


def smoothed(strength: float) -> Correction:
    """The correction of a user with forty samples."""

    def correct(labels: Tensor, ctr: Tensor, target: Tensor) -> Tensor:
        return one_sided(labels, smoothed_ctr(40 * ctr, column(40), target, strength), target)

    return correct


# ----------------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("ctr", "target", "positive", "negative"),
    [
        (0.5, 0.25, 0.5, 0.0),  # too many positives: they give way
        (0.25, 0.5, 1.0, 1 / 3),  # too few: the negatives do
        (0.3, 0.3, 1.0, 0.0),
        (0.0, 0.25, 1.0, 0.25),  # only negatives
        (1.0, 0.25, 0.25, 0.0),  # only positives
        (0.5, 0.0, 0.0, 0.0),
        (0.5, 1.0, 1.0, 1.0),
        (0.0, 0.0, 1.0, 0.0),
        (1.0, 1.0, 1.0, 0.0),
        (0.0, 1.0, 1.0, 1.0),
        (1.0, 0.0, 0.0, 0.0),
    ],
)
def test_one_sided_softens_the_class_that_is_too_frequent(
    ctr: float, target: float, positive: float, negative: float
) -> None:
    assert pair(one_sided, ctr, target) == pytest.approx([positive, negative], abs=1e-15)


@pytest.mark.parametrize(
    ("ctr", "target", "positive", "negative"),
    [
        (0.5, 0.25, 0.75, -0.25),
        (0.25, 0.5, 1.25, 0.25),
        (0.3, 0.3, 1.0, 0.0),
        (0.0, 0.25, 1.25, 0.25),
        (1.0, 0.25, 0.25, -0.75),
        (0.0, 1.0, 2.0, 1.0),
        (1.0, 0.0, 0.0, -1.0),
    ],
)
def test_shift_adds_one_number_to_every_label(ctr: float, target: float, positive: float, negative: float) -> None:
    assert pair(shift, ctr, target) == [positive, negative]


@pytest.mark.parametrize(
    ("positives", "samples", "prior", "strength", "expected"),
    [
        (3, 10, 0.5, 10.0, 0.4),
        (3, 10, 0.5, 0.0, 0.3),
        (0, 10, 0.5, 10.0, 0.25),
        (10, 10, 0.5, 10.0, 0.75),
        (1, 1, 0.25, 3.0, 0.4375),
        (0, 0, 0.25, 3.0, 0.25),
        (0, 0, 0.25, 0.0, 0.25),  # nothing is known but the prior
        (5, 10, 0.0, 10.0, 0.25),
        (5, 10, 1.0, 10.0, 0.75),
    ],
)
def test_smoothed_ctr_mixes_in_samples_at_the_prior(
    positives: int, samples: int, prior: float, strength: float, expected: float
) -> None:
    assert smoothed_ctr(column(positives), column(samples), column(prior), strength).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ctr", "target", "positive", "negative"),
    [
        (0.5, 0.25, 0.75, 0.25),  # a gap of one half round a mean of one half
        (0.25, 0.5, 0.75, 1 / 12),  # a gap of two thirds round one quarter
        (0.3, 0.3, 1.0, 0.0),
        (0.0, 0.25, 0.75, 0.0),
        (1.0, 0.25, 1.0, 0.75),
        (0.5, 0.0, 0.5, 0.5),
        (0.5, 1.0, 0.5, 0.5),
    ],
)
def test_gap_only_softens_both_classes_round_the_local_ctr(
    ctr: float, target: float, positive: float, negative: float
) -> None:
    assert pair(gap_only, ctr, target) == pytest.approx([positive, negative], abs=1e-15)


@pytest.mark.parametrize(
    ("ctr", "target", "positive", "negative"),
    [
        (0.5, 0.4, 1.0, 0.2),  # the mean goes to 0.6
        (0.5, 0.6, 0.8, 0.0),  # the mean goes to 0.4
        (0.3, 0.3, 1.0, 0.0),
        (0.5, 0.0, 1.0, 0.5),  # to 1 would close the gap: it stops at one half
        (0.5, 1.0, 0.5, 0.0),
        (0.0, 0.25, 1.0, 0.0),  # there is nothing below 0
        (1.0, 0.25, 1.0, 0.0),
    ],
)
def test_wrong_direction_mirrors_the_target_at_the_local_ctr(
    ctr: float, target: float, positive: float, negative: float
) -> None:
    assert pair(wrong_direction, ctr, target) == pytest.approx([positive, negative], abs=1e-15)


def test_a_user_with_one_sample_gets_the_target_and_one_without_gets_nothing() -> None:
    for label in (0.0, 1.0):
        assert one_sided(torch.tensor([[label]]), torch.tensor([[label]]), torch.tensor([[0.25]])).item() == 0.25
    assert one_sided(torch.zeros(1, 0), torch.zeros(1, 1), torch.tensor([[0.25]])).shape == (1, 0)


def test_every_user_has_a_row_and_targets_may_differ() -> None:
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    ctr, target = torch.tensor([[0.5], [0.25]]), torch.tensor([[0.25], [0.5]])
    torch.testing.assert_close(one_sided(labels, ctr, target), torch.tensor([[0.5, 0.0], [1.0, 1 / 3]]))


# ------------------------------------------------------------------------------------- whatever the user


@pytest.mark.parametrize("correction", [one_sided, shift])
@given(user=users, target=targets)
def test_the_mean_label_meets_the_target(correction: Correction, user: tuple[int, int], target: float) -> None:
    labels, ctr = labels_of(user)
    assert correction(labels, ctr, column(target)).mean().item() == pytest.approx(target, abs=1e-12)


@pytest.mark.parametrize("correction", [one_sided, shift, smoothed(0.0), smoothed(10.0), gap_only, wrong_direction])
@given(ctr=ctrs, target=inner_targets)
def test_a_positive_has_the_higher_label(correction: Correction, ctr: float, target: float) -> None:
    positive, negative = pair(correction, ctr, target)
    assert positive > negative


@pytest.mark.parametrize("correction", [one_sided, smoothed(0.0), smoothed(10.0), gap_only, wrong_direction])
@given(ctr=ctrs, target=targets)
def test_labels_stay_probabilities(correction: Correction, ctr: float, target: float) -> None:
    assert all(-1e-15 <= label <= 1 + 1e-15 for label in pair(correction, ctr, target))


@given(ctr=ctrs, target=targets)
def test_no_correction_within_0_and_1_has_a_wider_gap_than_one_sided(ctr: float, target: float) -> None:
    positive, negative = pair(one_sided, ctr, target)
    # The gap of labels with this mean is widest where one of them cannot move on.
    assert positive == 1 or negative == 0


@given(user=users, target=targets)
def test_gap_only_keeps_the_mean_and_has_the_gap_of_one_sided(user: tuple[int, int], target: float) -> None:
    labels, ctr = labels_of(user)
    assert gap_only(labels, ctr, column(target)).mean().item() == pytest.approx(ctr.item(), abs=1e-12)
    gaps = [positive - negative for positive, negative in (pair(c, ctr.item(), target) for c in (gap_only, one_sided))]
    assert gaps[0] == pytest.approx(gaps[1], abs=1e-12)


@given(user=users, target=targets)
def test_wrong_direction_moves_the_mean_away_but_keeps_half_of_the_gap(user: tuple[int, int], target: float) -> None:
    labels, ctr = labels_of(user)
    c, mean = ctr.item(), wrong_direction(labels, ctr, column(target)).mean().item()
    assert (mean - c) * (c - target) >= -1e-12
    assert abs(mean - c) <= abs(c - target) + 1e-12
    if min(user) and abs(c - target) > 1e-9:
        assert abs(mean - c) > 0
    positive, negative = pair(wrong_direction, c, target)
    assert positive - negative >= 0.5 - 1e-12
    if positive - negative > 0.5 + 1e-9:
        assert mean == pytest.approx(2 * c - target, abs=1e-9) or not min(user)


@given(ctr=ctrs, target=targets)
def test_smoothing_goes_from_one_sided_to_plain_labels(ctr: float, target: float) -> None:
    assert pair(smoothed(0.0), ctr, target) == pytest.approx(pair(one_sided, ctr, target), abs=1e-12)
    if 0.01 < target < 0.99:
        assert pair(smoothed(1e12), ctr, target) == pytest.approx([1, 0], abs=1e-6)


@given(ctr=ctrs, target=inner_targets, strengths=st.tuples(st.floats(0, 100), st.floats(0, 100)))
def test_stronger_smoothing_corrects_less(ctr: float, target: float, strengths: tuple[float, float]) -> None:
    gaps = [positive - negative for positive, negative in (pair(smoothed(k), ctr, target) for k in sorted(strengths))]
    assert gaps[0] <= gaps[1] + 1e-12


@pytest.mark.parametrize("correction", [one_sided, shift])
def test_no_gradient_is_spent_on_the_prior(correction: Correction) -> None:
    # Users with 0 to 12 positives among 12 samples, for every target.
    labels = (torch.arange(12) < torch.arange(13).unsqueeze(1)).double().repeat(9, 1)
    target = torch.linspace(0.1, 0.9, 9, dtype=torch.float64).repeat_interleave(13).unsqueeze(1)
    ctr = labels.mean(1, keepdim=True)
    # Predictions that differ from sample to sample but are calibrated: their mean is the target.
    logits = (target + torch.linspace(-0.09, 0.09, 12, dtype=torch.float64)).logit()

    def gradient(labels: Tensor) -> Tensor:
        bias = torch.zeros_like(ctr, requires_grad=True)
        losses = F.binary_cross_entropy_with_logits(logits + bias, labels, reduction="none").mean(1)
        return torch.autograd.grad(losses.sum(), bias)[0]

    assert gradient(correction(labels, ctr, target)).abs().max() < 1e-12
    torch.testing.assert_close(gradient(labels), target - ctr)  # without it, the drift


def test_the_best_prediction_is_an_increasing_function_of_the_plain_one() -> None:
    # Where a share p of the samples at x is positive, the log loss is smallest at the mean label there.
    ctr, target = torch.cartesian_prod(torch.linspace(0, 1, 9), torch.linspace(0.1, 0.9, 9)).double().split(1, dim=1)
    positive, negative = (one_sided(torch.full_like(ctr, label), ctr, target) for label in (1.0, 0.0))
    share = torch.linspace(0.05, 0.95, 11, dtype=torch.float64)
    best = negative + (positive - negative) * share
    logits = best.logit().requires_grad_()

    def loss(label: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, label.expand_as(logits), reduction="none")

    (gradient,) = torch.autograd.grad((share * loss(positive) + (1 - share) * loss(negative)).sum(), logits)
    assert gradient.abs().max() < 1e-12
    assert (best.diff(dim=1) > 0).all()


# ---------------------------------------------------------------------------------------- part of the way


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize(
    ("ctr", "target", "share", "expected"),
    [
        (0.8, 0.2, 0.5, 0.5),  # log-odds ln 4 and -ln 4 meet in the middle
        (0.9, 0.5, 0.5, 0.75),  # ln 9 / 2 = ln 3
        (0.3, 0.6, 0.0, 0.3),
        (0.3, 0.6, 1.0, 0.6),
        (1.0, 0.25, 0.5, 1.0),  # a user of one class
        (1.0, 0.25, 1.0, 0.25),
        (0.0, 0.25, 0.5, 0.0),
        (0.0, 0.25, 1.0, 0.25),
    ],
)
def test_part_of_the_way_by_hand(ctr: float, target: float, share: float, expected: float) -> None:
    assert between(column(ctr), column(target), share).item() == pytest.approx(expected, abs=1e-15)


@given(ctr=st.floats(0.01, 0.99), target=inner_targets, share=st.floats(0, 1))
def test_the_way_is_even_in_log_odds(ctr: float, target: float, share: float) -> None:
    found = between(column(ctr), column(target), share).item()
    assert log_odds(found) == pytest.approx((1 - share) * log_odds(ctr) + share * log_odds(target), abs=1e-9)


@given(ctr=ctrs, target=inner_targets, shares=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
def test_further_on_is_nearer_to_the_target(ctr: float, target: float, shares: list[float]) -> None:
    near, far = (abs(between(column(ctr), column(target), share).item() - target) for share in shares)
    assert far <= near + 1e-12
    assert near <= abs(ctr - target) + 1e-12


@given(ctr=ctrs, target=inner_targets, share=st.floats(0, 1))
def test_the_way_of_the_negatives_is_the_same_seen_from_the_other_side(ctr: float, target: float, share: float) -> None:
    mirrored = between(column(1 - ctr), column(1 - target), share).item()
    assert between(column(ctr), column(target), share).item() == pytest.approx(1 - mirrored, abs=1e-12)
