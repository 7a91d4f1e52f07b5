"""How many users and days a test needs to find a lift, from what is known before it begins.

What a user did before the test predicts less of what it does in it the further the two are apart, for tastes change.
The covariance of two days that are k apart is taken to be in proportion to exp(-decay * k^2): flat at first and then
ever steeper, like that of a taste that turns at a constant rate. Where it falls more slowly, this promises less than
there is. So it does by taking two days of the test to be as alike as two days of the pre-period.
"""

from dataclasses import dataclass
from math import ceil, inf, log1p

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, stats

from fedctr.errors import FedctrError
from fedctr.online.lift import Metric, linearised
from fedctr.statistics import LEVEL

Floats = npt.NDArray[np.float64]
FEWEST_DAYS = 4  # of a pre-period, from which on a decay can be told from noise


@dataclass(frozen=True)
class Traffic:
    """How a metric varies between users and from day to day.

    Clicks of a user on a day, less those to be expected, are the sum of what it does at that time and of that day:
    variances ``between`` and ``within``, in units of the squared mean clicks of a user on a day.

    Attributes:
        metric: ``ctr`` or ``clicks_per_user``.
        between: covariance of two days of a user, mean over those of the pre-period.
        within: what is left of a day's variance.
        days_before: length of the pre-period.
        decay: of that covariance, by the square of days; infinite where the pre-period is too short to tell, and so
            nothing is expected of it.
    """

    metric: Metric
    between: float
    within: float
    days_before: int
    decay: float = 0.0

    @classmethod
    def measure(cls, metric: Metric, daily: pd.DataFrame, users: int) -> "Traffic":
        """From the pre-period.

        Args:
            metric: which to measure.
            daily: rows as for :func:`fedctr.online.exposure.exposure`, of which those before day 0 count.
            users: in all arms, whether they came or not.

        Raises:
            FedctrError: when the pre-period has fewer than two days, or no click.
        """
        before = daily[daily["day"] < 0]
        days = -int(before["day"].min()) if len(before) else 0
        if days < 2 or not before["clicks"].sum():
            raise FedctrError(
                f"a pre-period of {days} days with {before['clicks'].sum()} clicks is too little to plan by; set "
                f"pre_days to {FEWEST_DAYS} or more"
            )
        if metric == "clicks_per_user":  # a user who does not come clicks nothing
            clicks = before["clicks"].to_numpy(np.float64)
            offset = clicks.sum() / (users * days)
        else:
            clicks, offset = linearised(metric, before["clicks"], before["impressions"]), 0.0
        came, place = np.unique(before["user"], return_inverse=True)
        table = np.full((len(came), days), -offset)
        table[place, before["day"].to_numpy() + days] += clicks
        # Covariances of any two days, to which users who never came add as if they had been there.
        products = (table.T @ table + (users - len(came)) * offset**2) / (users - 1)
        lags = np.arange(1, days)
        falling = np.array([np.diagonal(products, lag).mean() for lag in lags])
        between = max(float(np.average(falling, weights=days - lags)), 0.0)
        within = float(np.diagonal(products).mean()) - between
        unit = float(before["clicks"].sum() / (users * days)) ** 2
        return cls(metric, between / unit, within / unit, days, _decay(falling / unit, lags))

    def variance(self, days: int) -> float:
        """Of one user's influence on the metric of a test, after what the pre-period predicts of it (CUPED)."""
        during = self.between + self.within / days
        before = self.between + self.within / self.days_before
        return during - (self.between * self._retained(days)) ** 2 / before if before else during

    def _retained(self, days: int) -> float:
        """Covariance of a day of the test with one before it, as a share of that of two days before it."""
        if self.decay == inf:
            return 0.0
        apart = np.arange(days)[:, None] + 1 + np.arange(self.days_before)
        before = np.arange(self.days_before)
        lags = (before[:, None] - before)[before[:, None] > before]
        return float(np.exp(-self.decay * apart**2).mean() / np.exp(-self.decay * lags**2).mean())


def _decay(falling: Floats, lags: npt.NDArray[np.int64]) -> float:
    """Fitted to covariances of days that are 1, 2, ... apart; 0 where they do not fall."""
    days = len(lags) + 1
    if days < FEWEST_DAYS:
        return inf
    scale = float(np.abs(falling).mean()) or 1.0
    weight = (days - lags) ** 0.5  # a lag's covariance is a mean over so many pairs

    def residuals(parameters: Floats) -> Floats:
        level, decay = parameters
        return np.asarray(weight * (level * np.exp(-decay * lags**2) - falling / scale))

    found = optimize.least_squares(residuals, x0=(1.0, 0.1 / days**2), bounds=(0, inf))
    return float(found.x[1])


def power(traffic: Traffic, lift: float, users: int, days: int, level: float = LEVEL) -> float:
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


def users_needed(traffic: Traffic, lift: float, days: int, wanted: float = 0.8, level: float = LEVEL) -> int:
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


def lift_found(traffic: Traffic, users: int, days: int, wanted: float = 0.8, level: float = LEVEL) -> float:
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
