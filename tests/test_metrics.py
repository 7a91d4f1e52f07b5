import time
from collections.abc import Callable
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from fedctr.metrics import (
    Floats,
    Integers,
    Labels,
    Scores,
    auc,
    auc_user_mean,
    calibration,
    gauc_impressions,
    largest_share,
    log_loss_impressions,
    ndcg_user_mean,
    share_harmed,
    user_auc,
    user_log_loss,
    user_ndcg,
    user_predicted_clicks,
    users_covered,
)

NAN = float("nan")
Samples = list[tuple[float, int]]
Metric = Callable[[Scores, Labels, Integers], Floats]


def predicted_clicks(scores: Scores, _: Labels, offsets: Integers) -> Floats:
    return user_predicted_clicks(scores, offsets)


METRICS = [user_auc, user_log_loss, predicted_clicks, user_ndcg]
every_metric = pytest.mark.parametrize("metric", METRICS)

# Scores from a handful of values, so that most samples are tied, or any that float32 holds.
scores = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0]) | st.floats(-100, 100, width=32)
one_user = st.lists(st.tuples(scores, st.integers(0, 1)), max_size=25)
many_users = st.lists(one_user, max_size=8)


def columns(users: list[Samples]) -> tuple[Scores, Labels, Integers]:
    samples = [sample for user in users for sample in user]
    return (
        np.array([score for score, _ in samples], dtype=np.float32),
        np.array([label for _, label in samples], dtype=np.uint8),
        np.cumsum([0, *map(len, users)]),
    )


def value(metric: Metric, scores: list[float], labels: list[int]) -> float:
    return float(metric(*columns([list(zip(scores, labels, strict=True))]))[0])


def random_users(users: int, samples: int, seed: int = 0) -> tuple[Scores, Labels, Integers]:
    """Scores of one decimal, so with ties, and users of very unequal sizes, some empty."""
    rng = np.random.default_rng(seed)
    inner = np.sort(rng.integers(0, samples + 1, users - 1))
    labels = (rng.random(samples) < 0.3).astype(np.uint8)
    return (rng.normal(size=samples) + labels).round(1), labels, np.concatenate(([0], inner, [samples]))


# ----------------------------------------------------------------------------------- one user, by hand


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([0.1, 0.2], [0, 1], 1.0),
        ([0.2, 0.1], [0, 1], 0.0),
        ([0.5, 0.5], [0, 1], 0.5),
        ([-0.0, 0.0], [0, 1], 0.5),
        ([-np.inf, 0.0, np.inf], [0, 1, 1], 1.0),
        ([1, 2, 2, 3], [0, 1, 0, 1], 3.5 / 4),  # of four pairs three are won and one is tied
        ([1, 2, 3], [1, 1, 1], NAN),
        ([1, 2, 3], [0, 0, 0], NAN),
        ([], [], NAN),
    ],
)
def test_auc_is_the_share_of_pairs_in_order_with_ties_as_half(
    scores: list[float], labels: list[int], expected: float
) -> None:
    np.testing.assert_equal(value(user_auc, scores, labels), expected)


@pytest.mark.parametrize(
    ("logits", "labels", "expected"),
    [
        ([0.0], [1], np.log(2)),
        ([np.log(3), np.log(3)], [1, 0], (np.log(4 / 3) + np.log(4)) / 2),
        ([1e4, -1e4], [1, 0], 0.0),
        ([1e4, -1e4], [0, 1], 1e4),
        ([-50.0], [0], np.exp(-50.0)),
        ([], [], NAN),
    ],
)
def test_log_loss_is_in_nats_and_neither_overflows_nor_clips(
    logits: list[float], labels: list[int], expected: float
) -> None:
    assert value(user_log_loss, logits, labels) == pytest.approx(expected, rel=1e-6, abs=0, nan_ok=True)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [([0.0, 0.0], 1.0), ([np.log(3)], 0.75), ([1e4, -1e4], 1.0), ([-50.0], np.exp(-50.0)), ([], 0.0)],
)
def test_predicted_clicks_sum_the_probabilities(logits: list[float], expected: float) -> None:
    assert value(predicted_clicks, logits, [0] * len(logits)) == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([3, 2, 1], [1, 1, 0], 1.0),
        ([3, 2, 1], [0, 1, 0], 1 / np.log2(3)),
        ([3, 2, 1], [0, 0, 1], 0.0),  # the third place is beyond k = 2
        ([1, 1, 1], [0, 1, 0], (1 + 1 / np.log2(3) + 0) / 3),
        ([1], [1], 1.0),
        ([3, 2, 1], [0, 0, 0], NAN),
        ([], [], NAN),
    ],
)
def test_ndcg_discounts_by_position_and_shares_discounts_among_ties(
    scores: list[float], labels: list[int], expected: float
) -> None:
    assert value(lambda s, y, o: user_ndcg(s, y, o, k=2), scores, labels) == pytest.approx(expected, nan_ok=True)


# -------------------------------------------------------------------------- what holds for any samples


@every_metric
@settings(deadline=None)
@given(many_users)
def test_a_user_alone_and_among_many_gets_the_same_bits(metric: Metric, users: list[Samples]) -> None:
    together = metric(*columns(users))
    alone = [metric(*columns([user]))[0] for user in users]
    np.testing.assert_array_equal(together, np.array(alone))
    assert together.dtype == np.float64


@every_metric
def test_the_same_bits_also_for_large_users(metric: Metric) -> None:
    scores, labels, offsets = random_users(users=40, samples=20_000)
    alone = [metric(scores[a:b], labels[a:b], np.array([0, b - a]))[0] for a, b in pairwise(offsets)]
    np.testing.assert_array_equal(metric(scores, labels, offsets), np.array(alone))


@pytest.mark.parametrize("metric", [user_auc, user_ndcg])
@settings(deadline=None)
@given(one_user, st.randoms())
def test_the_order_of_a_users_samples_is_immaterial(metric: Metric, user: Samples, random: Random) -> None:
    shuffled = random.sample(user, len(user))
    np.testing.assert_array_equal(metric(*columns([user])), metric(*columns([shuffled])))


@pytest.mark.parametrize("metric", [user_auc, user_ndcg])
@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 1)), max_size=25))
def test_only_the_order_of_scores_matters(metric: Metric, user: list[tuple[int, int]]) -> None:
    scores, labels, offsets = columns([[(float(score), label) for score, label in user]])
    expected = metric(scores, labels, offsets)
    np.testing.assert_array_equal(metric(scores**3, labels, offsets), expected)
    np.testing.assert_array_equal(metric(np.exp(scores.astype(np.float64)), labels, offsets), expected)


@settings(deadline=None)
@given(many_users)
def test_auc_is_complemented_by_reversing_scores_or_labels(users: list[Samples]) -> None:
    scores, labels, offsets = columns(users)
    complement = 1 - user_auc(scores, labels, offsets)
    np.testing.assert_allclose(user_auc(-scores, labels, offsets), complement, rtol=0, atol=1e-15)
    np.testing.assert_allclose(user_auc(scores, 1 - labels, offsets), complement, rtol=0, atol=1e-15)


@settings(deadline=None)
@given(many_users)
def test_ranking_metrics_lie_between_0_and_1(users: list[Samples]) -> None:
    for values in (user_auc(*columns(users)), user_ndcg(*columns(users))):
        covered = values[~np.isnan(values)]
        assert ((covered >= 0) & (covered <= 1 + 1e-12)).all()


# ------------------------------------------------------------------------------ scikit-learn as oracle


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_scikit_learn(dtype: type[np.floating]) -> None:
    scores, labels, offsets = random_users(users=60, samples=1_500)
    scores = scores.astype(dtype)
    probabilities = 1 / (1 + np.exp(-scores.astype(np.float64)))
    ours = np.stack([metric(scores, labels, offsets) for metric in METRICS])
    theirs = np.full(ours.shape, NAN)
    for user, (a, b) in enumerate(pairwise(offsets)):
        y, z, p = labels[a:b], scores[a:b], probabilities[a:b]
        if 0 < y.sum() < len(y):
            theirs[0, user] = roc_auc_score(y, z)
        if len(y):
            theirs[1, user] = log_loss(y, p, labels=[0, 1])
        theirs[2, user] = p.sum()
        if y.any():
            theirs[3, user] = ndcg_score([y], [z], k=10) if len(y) > 1 else 1.0
    assert np.isnan(theirs[0]).any()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), rel=1e-12)


def test_a_million_samples_take_a_fraction_of_a_second() -> None:
    data = random_users(users=20_000, samples=1_080_000)
    start = time.perf_counter()
    user_auc(*data)
    assert time.perf_counter() - start < 5  # 0.2 s on a quiet machine; a loop over users takes a minute


# ------------------------------------------------------------------------------------------- bad input


@every_metric
@pytest.mark.parametrize(
    ("scores", "offsets", "message"),
    [
        ([0.5, NAN], [0, 2], "1 of 2 scores are NaN"),
        ([0.5, 0.5], [0, 3], "offsets must rise from 0"),
        ([0.5, 0.5], [1, 2], "offsets must rise from 0"),
        ([0.5, 0.5], [0, 2, 1, 2], "offsets must rise from 0"),
    ],
)
def test_bad_scores_and_offsets_are_refused(
    metric: Metric, scores: list[float], offsets: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        metric(np.array(scores), np.array([0, 1], dtype=np.uint8), np.array(offsets))


@pytest.mark.parametrize("metric", [user_auc, user_log_loss, user_ndcg])
@pytest.mark.parametrize(("labels", "message"), [([0], "2 scores but labels"), ([0, 2], "labels must be 0 or 1")])
def test_bad_labels_are_refused(metric: Metric, labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(np.array([0.1, 0.2]), np.array(labels, dtype=np.uint8), np.array([0, 2]))


# --------------------------------------------------------------------------------- aggregates, by hand


def test_means_leave_out_users_without_a_value() -> None:
    values, impressions = np.array([0.5, NAN, 1.0]), np.array([1, 100, 3])
    assert auc_user_mean(values) == ndcg_user_mean(values) == 0.75
    assert gauc_impressions(values, impressions) == log_loss_impressions(values, impressions) == 3.5 / 4
    assert users_covered(values) == 2


def test_no_user_with_a_value_means_no_aggregate() -> None:
    for nobody in (np.array([NAN, NAN]), np.array([])):
        impressions = np.arange(len(nobody))
        assert np.isnan(auc_user_mean(nobody))
        assert np.isnan(gauc_impressions(nobody, impressions))
        assert np.isnan(share_harmed(nobody, nobody))
        assert np.isnan(largest_share(nobody, nobody, impressions))
        assert users_covered(nobody) == 0


def test_log_loss_weighted_by_impressions_is_that_of_the_pool() -> None:
    scores, labels, offsets = random_users(users=50, samples=1_000)
    pooled = user_log_loss(scores, labels, np.array([0, len(scores)]))[0]
    per_user = user_log_loss(scores, labels, offsets)
    assert log_loss_impressions(per_user, np.diff(offsets)) == pytest.approx(pooled, rel=1e-12)


def test_calibration_is_predicted_over_observed_clicks() -> None:
    assert calibration(np.array([1.0, 2.0]), np.array([0, 2])) == 1.5
    assert np.isnan(calibration(np.array([1.0]), np.array([0])))


def test_harmed_are_those_strictly_below_their_reference() -> None:
    reference = np.array([0.5, 0.5, 0.5, 0.5, NAN])
    assert share_harmed(np.array([0.4, 0.5, 0.6, NAN, 0.1]), reference) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("gains", "impressions", "expected"),
    [
        ([0.25, 0.25, 0.25, 0.25], [7, 7, 7, 7], 1 / 4),
        ([0.25, 0.25], [3, 1], 3 / 4),
        ([-0.25, -0.25], [3, 1], 3 / 4),  # a loss has a largest supplier too
        ([0.5, -0.25, NAN], [1, 1, 100], 2.0),  # the others take half of it back
        ([0.25, -0.25], [1, 1], NAN),
        ([0.0, 0.0], [1, 1], NAN),
    ],
)
def test_largest_share_is_that_of_the_most_influential_user(
    gains: list[float], impressions: list[int], expected: float
) -> None:
    reference = np.full(len(gains), 0.5)
    np.testing.assert_equal(largest_share(reference + gains, reference, np.array(impressions)), expected)
