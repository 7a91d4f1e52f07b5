"""Limits that hold on all days at once, so that looking every day and stopping at will raises no false alarm.

The mixture sequential probability ratio test (Robbins 1970; Johari, Koomen, Pekelis and Walsh, KDD 2017). Had the lift
a normal distribution around 0 with standard deviation tau, the ratio of the likelihood of an estimate x of variance v
to that under no lift would be

    sqrt(v / (v + tau^2)) * exp(x^2 tau^2 / (2 v (v + tau^2))),

and it exceeds 1 / alpha on some day with probability alpha at most if there is no lift. The estimates of successive
days behave like a mean of ever more independent observations, also where the same users return: an estimate's
covariance with any later one is the variance of the later one.
"""

from math import log, sqrt

import numpy as np

from fedctr.online.lift import LogLift
from fedctr.statistics import LEVEL

TYPICAL = 0.05  # tau: limits are tightest for lifts of about this much, and hold for any


def always_valid(found: LogLift, level: float = LEVEL) -> tuple[float, float]:
    """Limits of the relative lift that hold on every day.

    Args:
        found: the estimate from the first day up to one of them.
        level: the probability with which the limits of all days hold.

    Returns:
        Lower and upper limit, NaN without a variance.
    """
    half = _half_width(found.variance, level) if found.variance > 0 else found.variance
    return float(np.expm1(found.mean - half)), float(np.expm1(found.mean + half))


def _half_width(variance: float, level: float) -> float:
    """Half the width of the limits of a logarithm."""
    mixed = variance + TYPICAL**2
    return sqrt(2 * variance * mixed / TYPICAL**2 * (log(1 / (1 - level)) + log(mixed / variance) / 2))
