"""A choice for each user between candidates, by what a device can know by itself.

The latest of a user's local samples are held out. A dry run fine-tunes on the others, and the strategy is shown how
each candidate does on those held out. What a user takes there, it takes when it is fine-tuned once more, on all local
samples. Test samples have no say in it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fedctr.features import Features, Rows
from fedctr.judgement import Integers, Judged, Logits
from fedctr.protocol import Trial
from fedctr.strategy import ClientStrategy


def held_out(features: Features, share: float) -> Features:
    """The same users with the last share of their training samples, rounded down, as validation part.

    Histories hold clicks on the others alone, as those of a validation part do.
    """
    dataset, split = features.dataset, features.split.inner(share)
    return Features(dataset, split, features.users, features.history_length)


def chosen_of(strategy: ClientStrategy, judged: Judged) -> Integers:
    """What :meth:`ClientStrategy.choose` says, checked: int64 (users,).

    Raises:
        ValueError: when it is no whole number for each user, or one that no candidate has.
    """
    chosen, users = strategy.choose(judged), judged.samples.shape
    if not isinstance(chosen, np.ndarray) or chosen.dtype != np.int64 or chosen.shape != users:
        found = f"{chosen.dtype} {chosen.shape}" if isinstance(chosen, np.ndarray) else type(chosen).__name__
        raise ValueError(f"choose returned {found}, expected int64 {users}")
    count = len(judged.log_loss)
    if unknown := chosen[(chosen < 0) | (chosen >= count)].tolist():
        raise ValueError(f"choose returned {unknown[0]}, expected candidates from 0 to {count - 1}")
    return chosen


class Choice(NamedTuple):
    """Which candidates some users take in one trial: int64 (users,), beside the rows of these users."""

    trial: Trial
    users: Rows
    chosen: Integers


class Choices:
    """Which candidate each of some neighbouring users takes in each trial.

    Args:
        users: rows of the data set.
        made: in any order; none if nobody has to choose.
    """

    def __init__(self, users: range, made: Iterable[Choice] = ()) -> None:
        self._first = users.start
        self._made: dict[Trial, Integers] = {}
        for trial, some, chosen in made:
            self._made.setdefault(trial, np.zeros(len(users), dtype=np.int64))[some - self._first] = chosen

    def take(self, trial: Trial, users: Rows, candidates: Logits) -> Logits:
        """The candidates of the choice, float32 (users, samples), out of (candidates, users, samples).

        Raises:
            ValueError: when there are several, and nobody has chosen.
        """
        if len(candidates) > 1 and not self._made:
            raise ValueError(
                f"candidates returned {len(candidates)} to choose from, but held_out keeps nothing to judge them by"
            )
        return candidates[self.of(trial, users), np.arange(len(users))]

    def of(self, trial: Trial, users: Rows) -> Integers:
        """Their numbers, int64 (users,); 0 where nobody has to choose."""
        made = self._made.get(trial)
        return np.zeros(len(users), dtype=np.int64) if made is None else made[users - self._first]
