"""How many users and days a test needs to find a lift, from what is known before it begins."""

from dataclasses import dataclass
from math import ceil, log1p

import numpy as np
import pandas as pd
from scipy import stats

from fedctr.online.lift import Metric, linearised


@dataclass(frozen=True)
class Traffic:
    """How a metric varies between users and from day to day.

    Clicks of a user on a day, less those to be expected, are the sum of what it always does and of that day: variances
    ``between`` and ``within``, in units of the squared mean clicks of a user on a day.

    Attributes:
        metric: ``ctr`` or ``clicks_per_user``.
        between: of users.
        within: of days of one user.
        days_before: length of the pre-period.
    """

    metric: Metric
    between: float
    within: float
    days_before: int

    @classmethod
    def measure(cls, metric: Metric, daily: pd.DataFrame, users: int) -> "Traffic":
        """From the pre-period.

        Args:
            metric: which to measure.
            daily: rows as for :func:`fedctr.online.exposure.exposure`, of which those before day 0 count.
            users: in all arms, whether they came or not.

        Raises:
            ValueError: when the pre-period has fewer than two days, or no click.
        """
        before = daily[daily["day"] < 0]
        days = -int(before["day"].min()) if len(before) else 0
        if days < 2 or not before["clicks"].sum():
            raise ValueError(f"a pre-period of {days} days with {before['clicks'].sum()} clicks tells too little")
        if metric == "clicks_per_user":  # a user who does not come clicks nothing
            clicks = before["clicks"].to_numpy(np.float64)
            offset = clicks.sum() / (users * days)
        else:
            clicks, offset = linearised(metric, before["clicks"], before["impressions"]), 0.0
        sums = np.bincount(before["user"], clicks, minlength=int(before["user"].max()) + 1)
        # One-way analysis of variance over users x days, of which most that are not there are 0.
        total = float((clicks**2).sum()) - users * days * offset**2
        of_users = float((sums**2).sum()) / days - users * days * offset**2
        within = (total - of_users) / (users * (days - 1))
        between = max((of_users / (users - 1) - within) / days, 0.0)
        unit = float(before["clicks"].sum() / (users * days)) ** 2
        return cls(metric, between / unit, within / unit, days)

    def variance(self, days: int) -> float:
        """Of one user's influence on the metric of a test, after what the pre-period predicts of it (CUPED)."""
        during = self.between + self.within / days
        before = self.between + self.within / self.days_before
        return during - self.between**2 / before if before else during


def power(traffic: Traffic, lift: float, users: int, days: int, level: float = 0.95) -> float:
    """The probability that a test finds a lift that is there.

    Args:
        traffic: how the metric varies.
        lift: relative, such as 0.02 for 2 %; above -1.
        users: of each of the two arms that are compared.
        days: of the test.
        level: of the interval that has to exclude 0; for m comparisons at once 1 - 0.05 / m.

    Returns:
        0 to 1.
    """
    deviation = (2 * traffic.variance(days) / users) ** 0.5
    limit, shift = stats.norm.isf((1 - level) / 2), abs(log1p(lift)) / deviation
    return float(stats.norm.sf(limit - shift) + stats.norm.cdf(-limit - shift))


def users_needed(traffic: Traffic, lift: float, days: int, wanted: float = 0.8, level: float = 0.95) -> int:
    """How many users each of two arms needs to find a lift with the power that is wanted.

    Args:
        traffic: how the metric varies.
        lift: relative, above -1 and not 0.
        days: of the test.
        wanted: power, 0 to 1.
        level: as for :func:`power`.
    """
    distance = float(stats.norm.isf((1 - level) / 2) + stats.norm.ppf(wanted))
    return ceil(2 * traffic.variance(days) * (distance / log1p(lift)) ** 2)


def lift_found(traffic: Traffic, users: int, days: int, wanted: float = 0.8, level: float = 0.95) -> float:
    """The smallest lift that a test of this size finds with the power that is wanted.

    Args:
        traffic: how the metric varies.
        users: of each arm.
        days: of the test.
        wanted: power, 0 to 1.
        level: as for :func:`power`.
    """
    distance = stats.norm.isf((1 - level) / 2) + stats.norm.ppf(wanted)
    return float(np.expm1(distance * (2 * traffic.variance(days) / users) ** 0.5))
