"""What every user was shown and clicked, in the test and before it: all that the statistics of an A/B test need."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
SUMS = ["impressions", "clicks"]


def exposure(daily: pd.DataFrame, until: int | None = None) -> pd.DataFrame:
    """The sums of each user who came during the test.

    Args:
        daily: a row for each user and day on which it came, with ``user``, ``arm``, ``day``, ``impressions`` and
            ``clicks``. The test begins on day 0; the days before it, in which all arms do the same, are the pre-period.
        until: the last day that counts; None for all.

    Returns:
        A row for each user, in ascending order: ``user``, ``arm``, ``impressions`` and ``clicks`` of the test, and
        ``impressions_before`` and ``clicks_before`` of the pre-period, 0 for a user who did not come in it.

    Raises:
        ValueError: when a user is in two arms, or clicked more often than it was shown something.
    """
    if (daily["clicks"] > daily["impressions"]).any() or (daily["clicks"] < 0).any():
        raise ValueError("a row has more clicks than impressions, or fewer than none")
    users, first, place = np.unique(daily["user"], return_index=True, return_inverse=True)
    arms = daily["arm"].to_numpy()
    if (arms != arms[first][place]).any():
        raise ValueError("a user is in two arms")
    day = daily["day"].to_numpy()
    parts = {"": (day >= 0) & (day <= (day.max(initial=0) if until is None else until)), "_before": day < 0}
    came = np.bincount(place[parts[""]], minlength=len(users)) > 0
    sums = {
        f"{name}{suffix}": np.bincount(place[part], daily[name].to_numpy()[part], len(users))[came].astype(np.int64)
        for suffix, part in parts.items()
        for name in SUMS
    }
    return pd.DataFrame({"user": users[came], "arm": arms[first][came]} | sums)


def drift(users: pd.DataFrame) -> Floats:
    """By how much each user's CTR before the test differs from everybody's.

    Args:
        users: as from :func:`exposure`.

    Returns:
        float64 (users,), local CTR minus global CTR of the pre-period; NaN for a user who was shown nothing in it.
    """
    shown, clicked = (users[f"{name}_before"].to_numpy(np.float64) for name in SUMS)
    local_ctr = np.divide(clicked, shown, out=np.full(len(users), np.nan), where=shown > 0)
    drifts: Floats = local_ctr - (clicked.sum() / shown.sum() if shown.sum() else np.nan)
    return drifts
