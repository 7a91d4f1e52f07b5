"""The mean change of a round's users, for an embedding row that of its holders.

A user's local steps change the rows of what is among its samples, its submodel, and leave all other rows as they are.
FedAvg divides what the n_m holders of row m have changed in it by all n users of a round, so that the row of an item
that few have met hardly moves. Federated submodel averaging (FedSubAvg) corrects that by the row's heat n_m:

    FedAvg:     x_m + (1 / n) sum of changes        FedSubAvg:  x_m + (n / n_m) (1 / n) sum of changes

Ding et al., Federated Submodel Optimization for Hot and Cold Data Features, NeurIPS 2022, arXiv 2109.07704. There, n_m
is counted once among all users. Here it is counted in every round among those whose changes have arrived, which is the
same where everybody takes part; where few do, a row moves by the mean of what arrived, and not by a multiple of it.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Averaging = Literal["users", "holders"]
Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.floating]


def mean_change(total: Values, users: int, holders: Counts | None = None) -> Values:
    """The mean change of a parameter.

    Args:
        total: the sum of the users' changes, float64 (*shape).
        users: whose changes these are, at least 1.
        holders: how many of them have changed each row, int64 (rows,), to take the mean over these; None for all users.
    """
    if holders is None:
        return total / users
    return total / np.maximum(holders, 1)[:, None]  # what nobody has changed stays
