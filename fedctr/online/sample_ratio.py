"""Whether the arms got the users that they were to get."""

from collections.abc import Sequence

from scipy import stats

ALARM = 0.001  # a chance so small that something is broken


def sample_ratio_p_value(users: Sequence[int]) -> float:
    """How likely equally large arms are to differ by as much as they do, or by more.

    Pearson's chi-square test; below 0.001 the test should not be read (Fabijan et al., KDD 2019).

    Args:
        users: of each arm who came during the test.

    Returns:
        0 to 1; 1 where nobody came.
    """
    return float(stats.chisquare(users).pvalue) if sum(users) else 1.0
