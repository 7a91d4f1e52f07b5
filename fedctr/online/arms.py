"""Who is in which arm."""

import numpy as np

from fedctr.features import Rows
from fedctr.online.settings import ABTest
from fedctr.randomness import words


def assigned(seed: int, salt: str, users: Rows, arms: int) -> Rows:
    """The arm of each user, counted from 0, by a salted hash: the same on every day and at every client.

    Args:
        seed: of the experiment.
        salt: another salt is another assignment.
        users: int64 (users,), rows of the data set.
        arms: how many, all equally likely.

    Returns:
        int64 (users,).
    """
    return (words(seed, f"arm {salt}", users, 1)[:, 0] % np.uint64(arms)).astype(np.int64)


def members(settings: ABTest, arm: int, users: Rows) -> Rows:
    """Those of the users who are in an arm."""
    found: Rows = users[assigned(settings.seed, settings.salt, users, len(settings.arms)) == arm]
    return found
