"""By how much a metric of one arm exceeds that of another, relative to it, and how far that may be off.

The unit is the user, who was put into an arm by chance; its impressions and clicks hang together. Both metrics are
means or ratios of means over users, so by the delta method (Deng, Knoblich and Lu, KDD 2018) the logarithm of a metric
varies like the mean of one number for each user, its influence. What a user did before the test predicts part of it;
that part is subtracted with the coefficient of a regression (CUPED: Deng, Xu, Kohavi and Walker, WSDM 2013).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from fedctr.statistics import LEVEL

Floats = npt.NDArray[np.float64]
Metric = Literal["ctr", "clicks_per_user"]
METRICS: tuple[Metric, ...] = ("ctr", "clicks_per_user")
FEWEST = 50  # users of an arm who clicked, from which on the normal approximation is trusted


@dataclass(frozen=True)
class LogLift:
    """The logarithm of the ratio of two arms' metrics.

    Attributes:
        mean: the estimate.
        variance: of the estimate; NaN where one of the arms has fewer than 50 users who clicked.
        variance_removed: the share of the variance that the pre-period accounts for, 0 to 1.
        users: in both arms.
    """

    mean: float
    variance: float
    variance_removed: float
    users: int

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Limits of the relative lift, for somebody who looks once, on a day that was fixed beforehand."""
        half = float(stats.norm.isf((1 - level) / 2)) * self.variance**0.5
        return float(np.expm1(self.mean - half)), float(np.expm1(self.mean + half))

    @property
    def p_value(self) -> float:
        """Of no lift, two-sided; NaN without a variance."""
        if self.variance == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.norm.sf(abs(self.mean) / self.variance**0.5))


def log_lift(metric: Metric, arm: pd.DataFrame, control: pd.DataFrame) -> LogLift:
    """Compare an arm with another one.

    Args:
        metric: ``ctr``, clicks of all users as a share of their impressions, or ``clicks_per_user``.
        arm: the users of the one, as from :func:`fedctr.online.exposure.exposure`.
        control: those of the other.

    Returns:
        The logarithm of the ratio of arm to control; NaN where one of them has no click.
    """
    users = len(arm) + len(control)
    nan = float("nan")
    if not (arm["clicks"].sum() and control["clicks"].sum()):
        return LogLift(nan, nan, nan, users)
    own, other = _influence(metric, arm), _influence(metric, control)
    before = _before(metric, pd.concat([arm, control]))
    before_own, before_other = before[: len(arm)], before[len(arm) :]
    theta = _slope([(before_own, own), (before_other, other)])
    mean = np.log(_value(metric, arm) / _value(metric, control)) - theta * (before_own.mean() - before_other.mean())
    raw = _variance(own) + _variance(other)
    rest = _variance(own - theta * before_own) + _variance(other - theta * before_other)
    if min(int((each["clicks"] > 0).sum()) for each in (arm, control)) < FEWEST:
        rest = nan
    return LogLift(float(mean), rest, 1 - rest / raw if raw else 0.0, users)


def _value(metric: Metric, users: pd.DataFrame) -> float:
    return float(users["clicks"].sum() / (users["impressions"].sum() if metric == "ctr" else len(users)))


def _influence(metric: Metric, users: pd.DataFrame) -> Floats:
    """Of each user on the logarithm of the metric, float64 (users,), of mean 0."""
    return linearised(metric, users["clicks"], users["impressions"]) / float(users["clicks"].mean())


def _before(metric: Metric, users: pd.DataFrame) -> Floats:
    """What the pre-period says of each user, float64 (users,): clicks, for CTR less those that were to be expected."""
    return linearised(metric, users["clicks_before"], users["impressions_before"])


def linearised(metric: Metric, clicks: "pd.Series[int]", impressions: "pd.Series[int]") -> Floats:
    """Clicks of each user or visit less those of an average one, for CTR of one that was shown as much.

    Returns:
        float64 (rows,), of mean 0: what the sampling variance of the metric comes from.
    """
    clicked, shown = (column.to_numpy(np.float64) for column in (clicks, impressions))
    if metric == "clicks_per_user":
        return np.asarray(clicked - clicked.mean())
    return np.asarray(clicked - shown * (clicked.sum() / shown.sum() if shown.sum() else 0.0))


def _variance(influence: Floats) -> float:
    """Of its mean."""
    return float(influence.var(ddof=1) / len(influence)) if len(influence) > 1 else float("nan")


def _slope(arms: list[tuple[Floats, Floats]]) -> float:
    """Of influence on what was before, within arms; 0 where nobody differs in that."""
    spread = sum(float(((x - x.mean()) ** 2).sum()) for x, _ in arms)
    together = sum(float(((x - x.mean()) * y).sum()) for x, y in arms)
    return together / spread if spread else 0.0
