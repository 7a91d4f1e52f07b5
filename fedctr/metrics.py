"""Ranking and calibration metrics: one value per user, and the aggregates over users.

Per-user functions take the samples of all users in one array: user ``u`` owns the rows
``offsets[u]:offsets[u + 1]``, possibly none. A user's value has the same bits whoever is computed beside
them: counts are integers, and whatever is not is added in an order that the user's own samples fix.

A user without both classes has no AUC, and NaN says so. The names of the aggregates carry their weighting,
since "GAUC" alone means at least four things in the literature.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def user_auc(scores: Scores, labels: Labels, offsets: Integers) -> Floats:
    """Area under each user's ROC curve; a tied pair counts one half.

    With P positives, N negatives and r_i the rank of sample i among the user's own, ascending from 1, ties
    sharing their mean rank: AUC = (sum of r_i over the positives - P (P + 1) / 2) / (P N), the Mann-Whitney
    statistic (Hanley and McNeil, Radiology 1982). All is exact up to the one division.

    Args:
        scores: float32 or float64 (samples,), any increasing function of the click probability.
        labels: uint8 (samples,), 0 or 1.
        offsets: int64 (users + 1,).

    Returns:
        float64 (users,), NaN for a user without both classes.

    Raises:
        ValueError: when the lengths disagree, a score is NaN or a label is neither 0 nor 1.
    """
    runs = _tied_runs(scores, labels, offsets)
    positives = _user_sums(runs.positives, runs.user, offsets)
    negatives = np.diff(offsets) - positives
    # Ranks are doubled to be integers; their sums are exact in float64 below 2**53.
    twice_ranks = _user_sums(runs.positives * (2 * runs.before + runs.size + 1), runs.user, offsets)
    return _ratio(twice_ranks - positives * (positives + 1), 2 * positives * negatives)


def user_log_loss(logits: Scores, labels: Labels, offsets: Integers) -> Floats:
    """Mean logistic loss of each user, in nats: log(1 + exp(-z)) for a click, log(1 + exp(z)) otherwise.

    Args:
        logits: float32 or float64 (samples,), of any size: nothing overflows and no probability is clipped.
        labels: uint8 (samples,), 0 or 1.
        offsets: int64 (users + 1,).

    Returns:
        float64 (users,), NaN for a user without samples.

    Raises:
        ValueError: when the lengths disagree, a logit is NaN or a label is neither 0 nor 1.
    """
    user = _user_of_row(logits, offsets)
    _check_labels(labels, offsets)
    margins = np.where(labels, logits, -logits).astype(np.float64)
    return _ratio(_user_sums(np.logaddexp(0.0, -margins), user, offsets), np.diff(offsets))


def user_predicted_clicks(logits: Scores, offsets: Integers) -> Floats:
    """Number of clicks that the model expects of each user: the sum of sigmoid(z) over the samples.

    Args:
        logits: float32 or float64 (samples,).
        offsets: int64 (users + 1,).

    Returns:
        float64 (users,), 0 for a user without samples.

    Raises:
        ValueError: when the lengths disagree or a logit is NaN.
    """
    user = _user_of_row(logits, offsets)
    probabilities = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
    return _user_sums(probabilities, user, offsets)


def user_ndcg(scores: Scores, labels: Labels, offsets: Integers, k: int = 10) -> Floats:
    """Normalised discounted cumulative gain of each user's first ``k`` samples, averaged over orders of ties.

    DCG@k = sum of y_i / log2(i + 1) over the positions i = 1..k in descending order of score (Järvelin and
    Kekäläinen, TOIS 2002), divided by the DCG@k of the best order. Tied samples share the mean discount of
    the positions that they cover (McSherry and Najork, ECIR 2008), positions beyond ``k`` counting as 0.

    Args:
        scores: float32 or float64 (samples,).
        labels: uint8 (samples,), 0 or 1.
        offsets: int64 (users + 1,).
        k: positions that count, at least 1.

    Returns:
        float64 (users,), NaN for a user without a positive.

    Raises:
        ValueError: when the lengths disagree, a score is NaN or a label is neither 0 nor 1.
    """
    runs = _tied_runs(-scores, labels, offsets)
    # cumulative[j] is the DCG of j positives in front: the ideal, and by differences the discount of any run.
    cumulative = np.concatenate(([0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))))
    discounts = cumulative[np.minimum(runs.before + runs.size, k)] - cumulative[np.minimum(runs.before, k)]
    gains = _user_sums(runs.positives / runs.size * discounts, runs.user, offsets)
    positives = _user_sums(runs.positives, runs.user, offsets).astype(np.int64)
    return _ratio(gains, cumulative[np.minimum(positives, k)])


def auc(scores: Scores, labels: Labels) -> float:
    """Area under the ROC curve of all samples in one pool, as ``user_auc`` of a single user.

    Args:
        scores: float32 or float64 (samples,).
        labels: uint8 (samples,), 0 or 1.

    Returns:
        The area, NaN without both classes.

    Raises:
        ValueError: as ``user_auc``.
    """
    return float(user_auc(scores, labels, np.array([0, len(scores)]))[0])


def auc_user_mean(auc: Floats) -> float:
    """Plain mean over users of the AUC, float64 (users,), those without one left out; NaN if all are."""
    return _mean(auc, np.ones_like(auc))


def gauc_impressions(auc: Floats, impressions: Integers) -> float:
    """Mean over users of the AUC weighted by impressions n: sum of n_u AUC_u / sum of n_u.

    Both sums are over the users that have an AUC. Source: Zhou et al., Deep Interest Network (KDD 2018).

    Args:
        auc: float64 (users,), NaN for a user without one.
        impressions: int64 (users,), the samples that each AUC was computed from.

    Returns:
        The mean, NaN if no user has an AUC.
    """
    return _mean(auc, impressions)


def users_covered(auc: Floats) -> int:
    """Number of users that have an AUC, of float64 (users,)."""
    return int(np.count_nonzero(~np.isnan(auc)))


def log_loss_impressions(log_loss: Floats, impressions: Integers) -> float:
    """Mean over users of the log loss weighted by impressions, which is the log loss of the pooled samples.

    Args:
        log_loss: float64 (users,), NaN for a user without samples.
        impressions: int64 (users,).

    Returns:
        The mean, NaN if no user has samples.
    """
    return _mean(log_loss, impressions)


def ndcg_user_mean(ndcg: Floats) -> float:
    """Plain mean over users of the NDCG, float64 (users,), those without one left out; NaN if all are."""
    return _mean(ndcg, np.ones_like(ndcg))


def calibration(predicted_clicks: Floats, clicks: Integers) -> float:
    """Predicted clicks of all users over their observed clicks: above 1 the model promises too much.

    Args:
        predicted_clicks: float64 (users,).
        clicks: int64 (users,).

    Returns:
        The ratio of the sums, NaN if nobody clicked.
    """
    return float(_ratio(predicted_clicks.sum(), clicks.sum()))


def share_harmed(auc: Floats, reference: Floats) -> float:
    """Share of users whose AUC is strictly below their reference AUC, of those that have both.

    Args:
        auc: float64 (users,), NaN for a user without one.
        reference: float64 (users,), the same users under the method compared against.

    Returns:
        The share in [0, 1], NaN if no user has both.
    """
    gains = auc - reference
    return _mean(np.where(np.isnan(gains), np.nan, gains < 0), np.ones_like(gains))


def largest_share(auc: Floats, reference: Floats, impressions: Integers) -> float:
    """Share of the difference in GAUC that the single most influential user supplies.

    User u contributes n_u (AUC_u - reference_u) / (sum of n) to the difference, over the users that have both
    AUCs. The share is the largest contribution in the direction of the difference, divided by the difference:
    1 / users when all contribute alike, above 1 when the other users together point the other way.

    Args:
        auc: float64 (users,), NaN for a user without one.
        reference: float64 (users,), the same users under the method compared against.
        impressions: int64 (users,).

    Returns:
        The share, NaN if the difference is 0 or no user has both.
    """
    contributions = impressions * (auc - reference)
    total = np.nansum(contributions)
    return float(np.nanmax(contributions / total)) if total else float("nan")


class _Runs(NamedTuple):
    """Maximal runs of equal scores within a user, by user and then ascending: int64 (runs,) each."""

    user: Integers
    before: Integers  # samples of the same user with a lower score
    size: Integers
    positives: Integers


def _tied_runs(scores: Scores, labels: Labels, offsets: Integers) -> _Runs:
    user = _user_of_row(scores, offsets)
    _check_labels(labels, offsets)
    # One integer holds user, score rank and label: sorting such keys is several times faster than np.lexsort.
    ranks, count = _ranks(scores)
    keys = np.sort(2 * (user * count + ranks) + labels)
    places = keys >> 1
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    user = user[starts]
    return _Runs(
        user=user,
        before=starts - offsets[user],
        size=np.diff(starts, append=len(scores)),
        positives=np.add.reduceat(keys & 1, starts),
    )


def _ranks(scores: Scores) -> tuple[Integers, int]:
    """Numbers from 0 on that rise with the scores, equal for equal ones, and one after the largest there could be."""
    if scores.dtype != np.float32:
        return np.unique(scores, return_inverse=True)[1], len(scores)
    # The bits of a float, read as an integer, rise with its size; adding 0 turns -0 into 0.
    bits = (scores + np.float32(0)).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & (2**31 - 1)), bits) + 2**31, 2**32


def _user_of_row(scores: Scores, offsets: Integers) -> Integers:
    samples = np.diff(offsets)
    if scores.ndim != 1 or offsets[0] != 0 or offsets[-1] != len(scores) or (samples < 0).any():
        raise ValueError(
            f"offsets must rise from 0 to the number of samples, found {offsets[0]} to {offsets[-1]} "
            f"for scores of shape {scores.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError(f"{np.count_nonzero(np.isnan(scores))} of {len(scores)} scores are NaN")
    return np.repeat(np.arange(len(samples)), samples)


def _check_labels(labels: Labels, offsets: Integers) -> None:
    if labels.shape != (offsets[-1],):
        raise ValueError(f"{offsets[-1]} scores but labels of shape {labels.shape}")
    if ((labels != 0) & (labels != 1)).any():
        raise ValueError("labels must be 0 or 1")


def _user_sums(values: npt.NDArray[Any], user: Integers, offsets: Integers) -> Floats:
    # Unlike np.add.reduceat, np.bincount adds one by one, so a sum rounds alike wherever a user's rows lie.
    return np.bincount(user, weights=values, minlength=len(offsets) - 1).astype(np.float64, copy=False)


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """The quotient, NaN wherever the denominator is 0."""
    return np.divide(numerator, np.where(denominator, denominator, np.nan))


def _mean(values: Floats, weights: npt.NDArray[np.number[Any]]) -> float:
    covered = ~np.isnan(values)
    return float(_ratio((values * weights)[covered].sum(), weights[covered].sum()))
