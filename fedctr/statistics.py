"""How sure a difference between two methods is: a paired bootstrap over users and seeds; buckets of users."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

# Users are resampled one by one up to this many, in random groups beyond. A standard error from that many
# groups is off by about 1 / sqrt(2 * 4,000) = 1.1 %: no more than what 10,000 replicates add to a limit.
_GROUPS = 4_000
LEVEL = 0.95  # of every interval
REPLICATES = 10_000  # of a bootstrap, well above 2 comparisons / (1 - LEVEL): corrected limits lie far out
_SEED = 0  # of the resampling: it draws the same users for every strategy, so that intervals compare well
_DRAWN_AT_ONCE = 1_000_000  # 8 MB for each seed
_NAN = float("nan")


@dataclass(frozen=True)
class Interval:
    """A mean difference and how far it may be off.

    Attributes:
        mean: over users and seeds.
        low: lower limit at ``LEVEL``, for this difference alone.
        high: upper limit, likewise.
        corrected_low: lower limit that holds for all comparisons at once (Bonferroni).
        corrected_high: upper limit, likewise.
        users: number of users that the difference rests on.
        seeds: number of seeds.
    """

    mean: float
    low: float
    high: float
    corrected_low: float
    corrected_high: float
    users: int
    seeds: int


def paired_difference(
    differences: Floats,
    comparisons: int = 1,
    weights: Floats | None = None,
) -> Interval:
    """Bootstrap interval for the mean of per-user differences between two methods.

    The pigeonhole bootstrap (Owen, Annals of Applied Statistics 2007): every replicate draws n users and,
    independently, S seeds, both with replacement, and averages over their cross product. So the interval
    covers other users and other seeds alike. Were a difference the sum of a user effect, a seed effect and a
    rest, of variances v_u, v_s and v_r, the variance of the replicates would be, on average,

        (1 - 1/n) v_u/n + (1 - 1/S) v_s/S + ((2 - 1/n)(2 - 1/S) - 1) v_r/(n S),

    where that of the mean is v_u/n + v_s/S + v_r/(n S). The rest counts up to three times, which makes the
    interval slightly conservative; against that, few seeds understate the seed effect, and a single seed
    leaves it out: then only users are resampled. Limits are percentiles of ``REPLICATES`` replicates.

    Beyond 4,000 users the unit drawn is one of 4,000 random groups of users, and a replicate is the sum
    over its groups divided by the number of users in them, so the cost hardly grows with the number of users:
    the method of random groups (Wolter, Introduction to Variance Estimation, 2007, chapter 2).

    Args:
        differences: float64 (users, seeds), the rows of users that are not covered all NaN.
        comparisons: how many intervals are read side by side; the corrected limits have level
            1 - (1 - ``LEVEL``) / comparisons.
        weights: float64 (users,), above 0, for a mean weighted by them; a replicate is then the ratio of two sums over
            the users that it draws. None for 1 each.

    Returns:
        The interval. With fewer than two covered users nothing can be said, so the limits are NaN; with none,
        so is the mean.

    Raises:
        ValueError: when there is no seed, a difference is infinite, or a user is covered in some seeds only.
    """
    weights = np.ones(len(differences)) if weights is None else weights
    return paired_ratio((differences.T * weights).T, weights[:, None], comparisons)


def paired_ratio(
    differences: Floats,
    wholes: Floats,
    comparisons: int = 1,
) -> Interval:
    """Bootstrap interval for the sum of all differences as a share of the sum of all wholes.

    Users and seeds are drawn as in :func:`paired_difference`, and each replicate is the ratio of both sums over what it
    has drawn. A replicate whose whole is 0 says nothing and is left out.

    Args:
        differences: float64 (users, seeds), the rows of users that are not covered all NaN.
        wholes: float64 (users, seeds), or (users, 1) for the same in every seed; at least 0.
        comparisons: as for :func:`paired_difference`.

    Returns:
        The interval; its mean is the ratio, NaN with its limits where the whole of all users is 0.

    Raises:
        ValueError: as :func:`paired_difference`.
    """
    covered, is_covered = _covered(differences)
    wholes = wholes[is_covered]
    users, seeds = covered.shape
    total = float(np.broadcast_to(wholes, covered.shape).sum())
    if not total:
        return Interval(_NAN, _NAN, _NAN, _NAN, _NAN, users, seeds)
    mean = float(covered.sum()) / total
    if users < 2:
        return Interval(mean, _NAN, _NAN, _NAN, _NAN, users, seeds)
    if (covered == mean * wholes).all():  # such as a method compared with itself
        return Interval(mean, mean, mean, mean, mean, users, seeds)
    ratios = _replicates(covered, wholes, np.random.default_rng(_SEED))
    return Interval(mean, *_limits(ratios, comparisons), users, seeds)


def unpaired_difference(
    first: Floats,
    second: Floats,
    comparisons: int = 1,
) -> Interval:
    """Bootstrap interval for the mean of the second less the mean of the first, over users of different worlds.

    Users and seeds of either are drawn as in :func:`paired_difference`, independently of those of the other.

    Args:
        first: float64 (users, seeds), the rows of users that are not covered all NaN.
        second: likewise; it may have other numbers of users and seeds.
        comparisons: as for :func:`paired_difference`.

    Returns:
        The interval, with the users of both together, and the seeds of the one that has fewer. With fewer than two
        covered users on one side the limits are NaN; with none, so is the mean.

    Raises:
        ValueError: as :func:`paired_difference`.
    """
    sides = [_covered(side)[0] for side in (first, second)]
    users, seeds = sum(len(side) for side in sides), min(side.shape[1] for side in sides)
    if not all(len(side) for side in sides):
        return Interval(_NAN, _NAN, _NAN, _NAN, _NAN, users, seeds)
    mean = float(sides[1].mean() - sides[0].mean())
    if any(len(side) < 2 for side in sides):
        return Interval(mean, _NAN, _NAN, _NAN, _NAN, users, seeds)
    means = [
        _replicates(side, np.ones((len(side), 1)), np.random.default_rng((_SEED, number)))
        for number, side in enumerate(sides)
    ]
    return Interval(mean, *_limits(means[1] - means[0], comparisons), users, seeds)


def drift_bucket(drift: Floats) -> pd.Categorical:
    """Ordered buckets of |drift|: [0, 0.05), [0.05, 0.1), [0.1, 0.2) and [0.2, 1].

    Args:
        drift: float64 (users,), local CTR minus global CTR.

    Returns:
        One of ``0-0.05``, ``0.05-0.1``, ``0.1-0.2``, ``0.2-1`` for each user, missing where the drift is NaN.
    """
    edges = [0, 0.05, 0.1, 0.2, np.inf]
    return pd.cut(np.abs(drift), edges, right=False, labels=["0-0.05", "0.05-0.1", "0.1-0.2", "0.2-1"])


def sample_bucket(samples: npt.NDArray[np.int64]) -> pd.Categorical:
    """Ordered buckets of the number of local samples.

    Args:
        samples: int64 (users,), 0 or more.

    Returns:
        One of ``<20``, ``20-49``, ``50-99``, ``100-199``, ``>=200`` for each user.
    """
    edges = [0, 20, 50, 100, 200, np.inf]
    return pd.cut(samples, edges, right=False, labels=["<20", "20-49", "50-99", "100-199", ">=200"])


def _covered(values: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The rows of users that are covered, and which these are; every seed must cover the same users."""
    if values.ndim != 2 or not values.shape[1] or np.isinf(values).any():
        raise ValueError(
            f"expected finite differences (users, seeds >= 1), found shape {values.shape} "
            f"with {np.count_nonzero(np.isinf(values))} infinite"
        )
    missing = np.isnan(values).sum(axis=1)
    seeds = values.shape[1]
    if ((missing > 0) & (missing < seeds)).any():
        user = np.flatnonzero((missing > 0) & (missing < seeds))[0]
        raise ValueError(f"user in row {user} is covered in {seeds - missing[user]} of {seeds} seeds")
    return values[missing == 0], missing == 0


def _limits(replicates: Floats, comparisons: int) -> tuple[float, float, float, float]:
    """Lower and upper limit for one difference alone, then those that hold for all comparisons at once."""
    tail = (1 - LEVEL) / 2
    corrected = tail / comparisons
    low, high, corrected_low, corrected_high = np.nanquantile(
        replicates, [tail, 1 - tail, corrected, 1 - corrected]
    ).tolist()
    return low, high, corrected_low, corrected_high


def _replicates(covered: Floats, wholes: Floats, rng: np.random.Generator) -> Floats:
    """Resampled ratios, float64 (REPLICATES,), of float64 (users, seeds) and (users, seeds or 1)."""
    users, seeds = covered.shape
    groups = min(users, _GROUPS)
    seed_weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=REPLICATES) / seeds
    starts = np.arange(groups) * users // groups
    order = rng.permutation(users)
    totals, sizes = (np.add.reduceat(each[order], starts) for each in (covered, wholes))
    ratios = np.empty(REPLICATES)
    step = max(1, _DRAWN_AT_ONCE // groups)
    for start in range(0, REPLICATES, step):
        chunk = slice(start, start + step)
        drawn = rng.integers(groups, size=(len(ratios[chunk]), groups))
        above, below = ((sums[drawn].sum(axis=1) * seed_weights[chunk]).sum(axis=1) for sums in (totals, sizes))
        ratios[chunk] = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratios
