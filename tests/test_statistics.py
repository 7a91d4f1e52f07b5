from dataclasses import astuple

import numpy as np
import pytest

from fedctr import statistics
from fedctr.statistics import drift_bucket, paired_difference, paired_ratio, sample_bucket, unpaired_difference

NAN = float("nan")


def widths_squared(sets: int, users: int, seeds: int, user_sd: float, rest_sd: float) -> float:
    """Mean squared width of intervals from data of known variance components, in squared standard errors."""
    rng = np.random.default_rng(0)
    squares = []
    for _ in range(sets):
        differences = user_sd * rng.normal(size=(users, 1)) + rest_sd * rng.normal(size=(users, seeds))
        interval = paired_difference(differences)
        squares.append(((interval.high - interval.low) / (2 * 1.96)) ** 2)
    return float(np.mean(squares))


# ------------------------------------------------------------------------------------ what it promises


@pytest.mark.parametrize("seeds", [1, 3])
def test_95_percent_of_intervals_cover_the_truth(seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "REPLICATES", 500)
    rng, truth, repetitions = np.random.default_rng(0), 0.3, 400
    covered = 0
    for _ in range(repetitions):
        differences = truth + rng.normal(size=(80, 1)) + 0.3 * rng.normal(size=(80, seeds))
        interval = paired_difference(differences)
        covered += interval.low <= truth <= interval.high
    assert abs(covered / repetitions - 0.95) < 3 * np.sqrt(0.95 * 0.05 / repetitions)


@pytest.mark.parametrize("seeds", [1, 3])
def test_width_is_that_of_the_analytic_standard_error_when_only_users_differ(seeds: int) -> None:
    users = 500
    column = np.random.default_rng(0).normal(size=(users, 1))
    interval = paired_difference(np.repeat(column, seeds, axis=1))
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * column.std() / np.sqrt(users), rel=0.05)
    assert interval.mean == pytest.approx(column.mean())


@pytest.mark.parametrize("seeds", [1, 3])
def test_variance_is_what_the_docstring_says_when_user_and_rest_differ(
    seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "REPLICATES", 4_000)
    n = 60
    expected = (1 - 1 / n) * 0.5**2 / n + ((2 - 1 / n) * (2 - 1 / seeds) - 1) * 1.0**2 / (n * seeds)
    found = widths_squared(sets=200, users=n, seeds=seeds, user_sd=0.5, rest_sd=1.0)
    assert found == pytest.approx(expected, rel=0.05)


def test_disagreeing_seeds_widen_the_interval() -> None:
    differences = np.random.default_rng(0).normal(size=(500, 1)) + np.zeros(3)
    agreeing = paired_difference(differences)
    disagreeing = paired_difference(differences + np.array([-1, 0, 1]))
    assert disagreeing.high - disagreeing.low > 5 * (agreeing.high - agreeing.low)


@pytest.mark.parametrize("users", [10_001, 25_000])
def test_random_groups_of_users_give_the_same_width(users: int) -> None:
    differences = 5 + np.random.default_rng(0).normal(size=(users, 1))
    interval = paired_difference(differences)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * differences.std() / np.sqrt(users), rel=0.08)


@pytest.mark.parametrize("users", [2, 15_000])
def test_equal_differences_leave_no_doubt(users: int) -> None:
    interval = paired_difference(np.full((users, 2), 0.25))
    assert astuple(interval) == pytest.approx((0.25, 0.25, 0.25, 0.25, 0.25, users, 2))


# ------------------------------------------------------------------------------------ weights and ratios


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_weighted_interval_is_that_of_a_ratio_estimator(seeds: int) -> None:
    """By the delta method: the standard error of R = sum(w d) / sum(w) is sqrt(sum((w (d - R)) ** 2)) / sum(w)."""
    rng, users = np.random.default_rng(0), 800
    weights, column = rng.integers(1, 40, users).astype(float), rng.normal(size=(users, 1))
    interval = paired_difference(np.repeat(column, seeds, axis=1), weights=weights)
    ratio = (weights * column[:, 0]).sum() / weights.sum()
    error = np.sqrt(((weights * (column[:, 0] - ratio)) ** 2).sum()) / weights.sum()
    assert interval.mean == pytest.approx(ratio)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_equal_weights_change_nothing() -> None:
    differences = np.random.default_rng(0).normal(size=(50, 3))
    weighted = paired_difference(differences, comparisons=4, weights=np.full(50, 4.0))
    assert astuple(weighted) == pytest.approx(astuple(paired_difference(differences, comparisons=4)))


def test_a_ratio_by_hand() -> None:
    # Of users (1, 3) and (3, 3) every replicate is 1/3, 4/6 or 3/3, with chances 1/4, 1/2 and 1/4.
    interval = paired_ratio(np.array([[1.0], [3.0]]), np.array([[3.0], [3.0]]))
    assert (interval.mean, interval.low, interval.high) == pytest.approx((4 / 6, 1 / 3, 1))


def test_the_whole_may_differ_by_seed() -> None:
    interval = paired_ratio(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 3.0], [1.0, 3.0]]))
    assert (interval.mean, interval.low, interval.high) == pytest.approx((2 / 8, 0, 1))


def test_replicates_without_a_whole_are_left_out_and_without_any_there_is_no_ratio() -> None:
    some = paired_ratio(np.array([[0.5], [0.0], [0.0]]), np.array([[1.0], [0.0], [0.0]]))
    assert (some.mean, some.low, some.high) == (0.5, 0.5, 0.5)
    none = paired_ratio(np.zeros((3, 2)), np.zeros((3, 2)))
    np.testing.assert_equal(astuple(none), (NAN, NAN, NAN, NAN, NAN, 3, 2))


# ------------------------------------------------------------------------------------ corrected limits


# ------------------------------------------------------------------------------------------ unpaired


def test_an_unpaired_difference_is_as_wide_as_the_standard_errors_of_both_sides() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(400, 1)), 3 * rng.normal(size=(600, 1)) + 1
    found = unpaired_difference(first, second)
    expected = np.sqrt(first.var() / 400 + second.var() / 600)
    assert found.high - found.low == pytest.approx(2 * 1.96 * expected, rel=0.05)
    assert found.mean == pytest.approx(second.mean() - first.mean())
    assert (found.users, found.seeds) == (1000, 1)


def test_what_users_have_in_common_helps_only_when_they_are_paired() -> None:
    users = np.random.default_rng(0).normal(size=(300, 2))
    paired, unpaired = paired_difference(users + 0.1 - users), unpaired_difference(users, users + 0.1)
    assert paired.mean == pytest.approx(unpaired.mean)
    assert unpaired.high - unpaired.low > 0.2 > paired.high - paired.low


def test_an_unpaired_difference_turned_round_has_the_other_sign() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(50, 2)), rng.normal(size=(80, 3)) + 0.3
    there, back = unpaired_difference(first, second, 2), unpaired_difference(second, first, 2)
    assert there.mean == pytest.approx(-back.mean)
    assert there.low == pytest.approx(-back.high, abs=0.02)
    assert there.corrected_low < there.low < there.mean < there.high < there.corrected_high


def test_an_unpaired_difference_leaves_out_users_that_are_not_covered() -> None:
    first, second = np.array([[0.0], [NAN], [0.5]]), np.array([[1.0], [1.0], [NAN], [1.0]])
    assert unpaired_difference(first, second) == unpaired_difference(first[[0, 2]], second[[0, 1, 3]])


@pytest.mark.parametrize(("first", "mean", "users"), [([[0.5]], 0.5, 3), ([[NAN]], NAN, 2)])
def test_an_unpaired_difference_of_a_single_user_has_no_interval(
    first: list[list[float]], mean: float, users: int
) -> None:
    found = unpaired_difference(np.array(first), np.array([[0.9], [1.1]]))
    assert astuple(found) == pytest.approx((mean, NAN, NAN, NAN, NAN, users, 1), nan_ok=True)


def test_corrected_limits_are_those_of_a_higher_level(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(size=(50, 3))
    corrected = paired_difference(differences, comparisons=10)
    monkeypatch.setattr(statistics, "LEVEL", 1 - 0.05 / 10)
    alone = paired_difference(differences)
    assert corrected.corrected_low == pytest.approx(alone.low)
    assert corrected.corrected_high == pytest.approx(alone.high)
    assert corrected.corrected_low < corrected.low < corrected.high < corrected.corrected_high


def test_one_comparison_needs_no_correction() -> None:
    interval = paired_difference(np.random.default_rng(0).normal(size=(50, 3)))
    assert (interval.corrected_low, interval.corrected_high) == (interval.low, interval.high)


# ------------------------------------------------------------------------------------- reproducibility


def test_equal_differences_have_equal_intervals() -> None:
    differences = np.random.default_rng(0).normal(size=(50, 3))
    assert paired_difference(differences) == paired_difference(differences)


def test_negated_differences_give_the_mirrored_interval() -> None:
    differences = np.random.default_rng(0).normal(size=(50, 3))
    interval, mirrored = paired_difference(differences), paired_difference(-differences)
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low))


# -------------------------------------------------------------------------------------------- coverage


def test_uncovered_users_change_nothing() -> None:
    differences = np.random.default_rng(0).normal(size=(50, 3))
    with_uncovered = np.insert(differences, [0, 20, 50], NAN, axis=0)
    assert paired_difference(with_uncovered) == paired_difference(differences)


@pytest.mark.parametrize(
    ("differences", "mean", "users"),
    [([[0.5, 1.0]], 0.75, 1), ([[0.5, 1.0], [NAN, NAN]], 0.75, 1), ([[NAN, NAN]], NAN, 0)],
)
def test_fewer_than_two_users_have_no_interval(differences: list[list[float]], mean: float, users: int) -> None:
    interval = paired_difference(np.array(differences))
    np.testing.assert_equal(astuple(interval), (mean, NAN, NAN, NAN, NAN, users, 2))


def test_nobody_at_all_has_no_interval() -> None:
    assert np.isnan(paired_difference(np.empty((0, 3))).mean)


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        (np.array([[0.0, 0.0], [0.0, NAN]]), "user in row 1 is covered in 1 of 2 seeds"),
        (np.array([[0.0], [np.inf]]), "1 infinite"),
        (np.zeros((3, 0)), "seeds >= 1"),
        (np.zeros(3), "found shape"),
    ],
)
def test_bad_differences_are_refused(differences: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_difference(differences)


# --------------------------------------------------------------------------------------------- buckets


def test_drift_falls_into_buckets_by_size_whatever_its_sign() -> None:
    buckets = drift_bucket(np.array([0.0, -0.049, 0.05, -0.15, 0.2, -1.0, 1.0, NAN]))
    assert list(buckets[:-1]) == ["0-0.05", "0-0.05", "0.05-0.1", "0.1-0.2", "0.2-1", "0.2-1", "0.2-1"]
    assert buckets.isna()[-1]
    assert buckets.ordered


def test_local_samples_fall_into_buckets() -> None:
    buckets = sample_bucket(np.array([0, 19, 20, 49, 50, 99, 100, 199, 200, 10**6]))
    names = ["<20", "20-49", "50-99", "100-199", ">=200"]
    assert list(buckets) == [name for name in names for _ in range(2)]
    assert list(buckets.categories) == names
    assert buckets.ordered
