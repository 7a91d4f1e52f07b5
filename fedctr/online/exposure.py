"""What every user was shown and clicked, in the test and before it: all that the statistics of an A/B test need."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedctr.errors import FedctrError

Floats = npt.NDArray[np.float64]
Sums = npt.NDArray[np.int64] | Floats
SUMS = ["impressions", "clicks"]
COLUMNS = ["user", "arm", "day", *SUMS]


def check(daily: pd.DataFrame) -> None:
    """Refuse daily rows that no test can have.

    Args:
        daily: a row for each user and day on which it came, with ``user``, ``arm``, ``day``, ``impressions`` and
            ``clicks``, counted or expected. The test begins on day 0; the days before it, in which all arms do the
            same, are the pre-period.

    Raises:
        FedctrError: when a column is missing, a row has clicks that cannot be, or a user is in two arms or twice on a
            day.
    """
    for column in COLUMNS:
        if column not in daily.columns:
            raise FedctrError(f"daily rows: there is no column {column}; they need {', '.join(COLUMNS)}")
    possible = (daily["clicks"] >= 0) & (daily["clicks"] <= daily["impressions"])
    if not possible.all():
        row = daily[~possible].iloc[0]
        raise FedctrError(
            f"daily rows: user {row['user']} on day {row['day']} has {row['clicks']} clicks on {row['impressions']} "
            "impressions; clicks are from 0 to impressions"
        )
    users, first, place = np.unique(daily["user"], return_index=True, return_inverse=True)
    codes, arms = pd.factorize(daily["arm"])
    moved = np.flatnonzero(codes != codes[first][place])
    if len(moved):
        there = moved[0], first[place[moved[0]]]
        told = " and ".join(sorted(str(arms[codes[row]]) for row in there))
        raise FedctrError(f"daily rows: user {users[place[moved[0]]]} is in the arms {told}; a user has one arm")
    twice = daily.duplicated(["user", "day"])
    if twice.any():
        row = daily[twice].iloc[0]
        raise FedctrError(
            f"daily rows: user {row['user']} is there twice on day {row['day']}; sum the rows of a user and day"
        )


def exposure(daily: pd.DataFrame) -> pd.DataFrame:
    """The sums of each user who came during the test.

    Args:
        daily: rows as :func:`check` wants them.

    Returns:
        A row for each user, in ascending order: ``user``, ``arm``, ``impressions`` and ``clicks`` of the test, and
        ``impressions_before`` and ``clicks_before`` of the pre-period, 0 for a user who did not come in it; int64 of
        what is counted, else float64.

    Raises:
        FedctrError: as :func:`check`.
    """
    check(daily)
    totals = _Totals(daily)
    totals.add(daily["day"].to_numpy() >= 0)
    return totals.users()


def exposures(daily: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """The sums as they stood at the end of every day of the test.

    Args:
        daily: rows as :func:`check` wants them.

    Yields:
        Each day on which somebody came, in order, and what :func:`exposure` says of the rows up to it.

    Raises:
        FedctrError: as :func:`check`.
    """
    check(daily)
    totals, day = _Totals(daily), daily["day"].to_numpy()
    for each in np.unique(day[day >= 0]):
        totals.add(day == each)
        yield int(each), totals.users()


class _Totals:
    """Sums of users, to which days are added."""

    def __init__(self, daily: pd.DataFrame) -> None:
        self._ids, first, self._place = np.unique(daily["user"], return_index=True, return_inverse=True)
        self._arm = daily["arm"].array[first]
        columns = {name: daily[name].to_numpy() for name in SUMS}
        self._columns = {name: column.astype(np.result_type(column, np.int64)) for name, column in columns.items()}
        self._came = np.zeros(len(self._ids), dtype=bool)
        before = daily["day"].to_numpy() < 0
        self._sums = {name: np.zeros(len(self._ids), column.dtype) for name, column in self._columns.items()}
        self._before = {f"{name}_before": self._sum(name, before) for name in SUMS}

    def add(self, rows: npt.NDArray[np.bool_]) -> None:
        """Rows of the test, bool (rows of daily,)."""
        self._came[self._place[rows]] = True
        for name in SUMS:
            self._sums[name] += self._sum(name, rows)

    def users(self) -> pd.DataFrame:
        """As :func:`exposure` returns them."""
        sums = {name: column[self._came] for name, column in (self._sums | self._before).items()}
        return pd.DataFrame({"user": self._ids[self._came], "arm": self._arm[self._came]} | sums)

    def _sum(self, name: str, rows: npt.NDArray[np.bool_]) -> Sums:
        column = self._columns[name]
        sums: Sums = np.bincount(self._place[rows], column[rows], len(self._ids)).astype(column.dtype)
        return sums


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
