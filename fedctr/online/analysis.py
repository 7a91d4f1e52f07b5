"""An A/B test in numbers: each arm against its baselines, over all users and in groups of them, and day by day."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fedctr.online.exposure import SUMS, drift, exposure, exposures
from fedctr.online.lift import METRICS, Metric, log_lift
from fedctr.online.sample_ratio import sample_ratio_p_value
from fedctr.online.sequential import always_valid
from fedctr.statistics import LEVEL, drift_bucket, sample_bucket

FIGURES = (
    "mean",
    "low",
    "high",
    "corrected_low",
    "corrected_high",
    "always_valid_low",
    "always_valid_high",
    "p_value",
    "variance_removed",
)
Pair = tuple[str, str]  # an arm and what it is compared with


def analyse(daily: pd.DataFrame, arms: Sequence[str], pairs: Sequence[Pair]) -> dict[str, Any]:
    """What a test of several arms says.

    Args:
        daily: rows as for :func:`fedctr.online.exposure.exposure`.
        arms: all of them.
        pairs: those that are compared, by arm and baseline.

    Returns:
        ``sample_ratio_p_value``, and ``lifts``: for each pair, in their order, ``arm``, ``baseline`` and an entry for
        each metric with ``mean``, ``low``, ``high``, ``corrected_low`` and ``corrected_high`` (for all pairs at once,
        by Bonferroni), ``always_valid_low`` and ``always_valid_high`` (for all days at once), ``p_value``,
        ``variance_removed`` and ``users``; ``by_drift`` and ``by_activity`` have the lift of CTR in groups of users, by
        their CTR and their impressions before the test, corrected for all groups of all pairs. What cannot be told is
        None.

    Raises:
        FedctrError: when the rows cannot be those of a test.
    """
    users = exposure(daily)
    groups = {
        "by_drift": drift_bucket(drift(users)),
        "by_activity": sample_bucket(users["impressions_before"].to_numpy(np.int64)),
    }
    lifts = []
    for arm, baseline in pairs:
        entry: dict[str, Any] = {"arm": arm, "baseline": baseline}
        entry |= {metric: lift(metric, *_sides(users, arm, baseline), len(pairs)) for metric in METRICS}
        for name, group in groups.items():
            comparisons = len(pairs) * len(group.categories)
            inside = {str(label): users[np.asarray(group == label)] for label in group.categories}
            entry[name] = {
                label: lift("ctr", *_sides(some, arm, baseline), comparisons) for label, some in inside.items()
            }
        lifts.append(entry)
    counts = users["arm"].value_counts()
    return {"sample_ratio_p_value": sample_ratio_p_value([int(counts.get(arm, 0)) for arm in arms]), "lifts": lifts}


def lift(metric: Metric, arm: pd.DataFrame, baseline: pd.DataFrame, comparisons: int = 1) -> dict[str, Any]:
    """One metric of one arm's users against another's, with every kind of limits; None for what cannot be told."""
    found = log_lift(metric, arm, baseline)
    figures = dict(
        zip(
            FIGURES,
            (
                float(np.expm1(found.mean)),
                *found.interval(LEVEL),
                *found.interval(1 - (1 - LEVEL) / comparisons),
                *always_valid(found, LEVEL),
                found.p_value,
                found.variance_removed,
            ),
            strict=True,
        )
    )
    return {key: value if np.isfinite(value) else None for key, value in figures.items()} | {"users": found.users}


def curves(daily: pd.DataFrame, pairs: Sequence[Pair]) -> pd.DataFrame:
    """The lifts as they stood at the end of every day of the test.

    Args:
        daily: as for :func:`analyse`.
        pairs: as for :func:`analyse`.

    Returns:
        A row for each day, pair and metric: ``day``, ``arm``, ``baseline``, ``metric`` and the figures of
        :func:`lift`, NaN where there are none. Limits are for one comparison.

    Raises:
        FedctrError: as :func:`analyse`.
    """
    rows = []
    for day, users in exposures(daily):
        for arm, baseline in pairs:
            sides = _sides(users, arm, baseline)
            for metric in METRICS:
                named = {"day": day, "arm": arm, "baseline": baseline, "metric": metric}
                rows.append(named | lift(metric, *sides))
    columns = ["day", "arm", "baseline", "metric", *FIGURES, "users"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(FIGURES, float))


def _sides(users: pd.DataFrame, arm: str, baseline: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return users[users["arm"] == arm], users[users["arm"] == baseline]


def by_day(daily: pd.DataFrame) -> pd.DataFrame:
    """What each arm was shown and clicked on each day.

    Returns:
        A row for each day and arm: ``day``, ``arm``, ``users`` who came, ``impressions``, ``clicks`` and ``ctr``.
    """
    days = daily.groupby(["day", "arm"], as_index=False).agg({"user": "size"} | dict.fromkeys(SUMS, "sum"))
    return days.rename(columns={"user": "users"}).assign(ctr=lambda rows: rows["clicks"] / rows["impressions"])


def figures(daily: pd.DataFrame, arm: str) -> dict[str, Any]:
    """What the days of the test came to in one arm, by the names in ``summary.json``; None where nobody came."""
    rows = daily[(daily["arm"] == arm) & (daily["day"] >= 0)]
    total = rows[["impressions", "clicks", "expected_clicks", "oracle_clicks"]].sum()
    return {
        "users": int(rows["user"].nunique()),
        "visits": len(rows),
        "impressions": int(total["impressions"]),
        "clicks": int(total["clicks"]),
        "ctr": float(total["clicks"] / total["impressions"]) if len(rows) else None,
        "clicks_per_user": float(total["clicks"] / rows["user"].nunique()) if len(rows) else None,
        "regret": float(1 - total["expected_clicks"] / total["oracle_clicks"]) if len(rows) else None,
        "tuned": int(rows["tuned"].sum()),
        "diverged": int(rows["diverged"].sum()),
    }
