"""The world of an online experiment: who arrives, what retrieval finds for them, and what they click.

The log-odds that a user clicks an item it looks at are ``intercept(user) + appeal(item) + taste(user, day) *
factors(item)``. A user's taste is one that stays and one of its own, which slowly turns towards another: a day is an
angle, so that a taste keeps its length. A place on the screen is looked at with a probability that falls with it.

Everything that happens on a day is drawn from (seed, user, day), and computed for each user by itself.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedctr.features import Rows
from fedctr.online.settings import WorldTable
from fedctr.randomness import uniform_at

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_AT_ONCE = 256  # users whose log-odds of all items are in memory at once


@dataclass(frozen=True, eq=False)
class Truth:
    """What makes a world's users and items.

    Attributes:
        arrival: each user's probability to arrive on a day, float64 (users,).
        intercept: log-odds, float64 (users,).
        lasting: the part of each user's taste that stays, float64 (users, factors).
        own: the part that turns away ...
        other: ... towards this one, both float64 (users, factors).
        appeal: log-odds, float64 (items,).
        factors: float64 (items, factors).
        exposure: how often retrieval finds an item, relative to others, float64 (items,).
        born: the first day of each item, int64 (items,).
    """

    arrival: Floats
    intercept: Floats
    lasting: Floats
    own: Floats
    other: Floats
    appeal: Floats
    factors: Floats
    exposure: Floats
    born: Rows

    @property
    def digest(self) -> str:
        """Identifies it: equal arrays, equal digest."""
        content = hashlib.sha256()
        for field in dataclasses.fields(self):
            content.update(np.ascontiguousarray(getattr(self, field.name)).data)
        return content.hexdigest()

    def save(self, file: Path) -> None:
        """Write all arrays into one file."""
        with file.open("wb") as archive:
            np.savez(archive, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @classmethod
    def load(cls, file: Path) -> "Truth":
        """Read what :meth:`save` wrote."""
        with np.load(file) as arrays:
            return cls(**{field.name: arrays[field.name] for field in dataclasses.fields(cls)})


@dataclass(frozen=True, eq=False)
class Candidates:
    """What retrieval has found for some users, for each in ascending order of the items.

    Attributes:
        items: int64 (users, candidates), rows of the data set.
        found: int64 (users, candidates), the place in the order of retrieval, from 0.
        log_odds: of a click on an item that is looked at, float64 (users, candidates).
    """

    items: Rows
    found: Rows
    log_odds: Floats

    def at(self, places: Rows) -> tuple[Rows, Floats]:
        """The items at int64 (users, n) places of this list, and their log-odds."""
        return np.take_along_axis(self.items, places, 1), np.take_along_axis(self.log_odds, places, 1)


@dataclass(frozen=True, eq=False)
class World:
    """A truth and its laws.

    Attributes:
        truth: the users and items.
        table: how many arrive, how retrieval works, and so on.
        seed: of all that is drawn.
    """

    truth: Truth
    table: WorldTable
    seed: int

    @property
    def looked_at(self) -> Floats:
        """How likely each place is looked at, float64 (shown,)."""
        places = np.arange(1, self.table.shown + 1, dtype=np.float64)
        return places**-self.table.position_bias

    def arriving(self, day: int, users: Rows) -> Rows:
        """Those of the users who arrive on a day."""
        drawn = uniform_at(self.seed, f"arrival {day}", users, np.array(0))
        return users[drawn < self.truth.arrival[users]]

    def candidates(self, day: int, users: Rows) -> Candidates:
        """What retrieval finds for the users on a day.

        Items are drawn without replacement, each next one in proportion to ``exposure * exp(precision * log-odds)``:
        those are the largest of its logarithms with Gumbel noise added (Yellott, Journal of Mathematical Psychology 15,
        1977).
        """
        size = self.table.candidates
        shape = len(users), size
        items, found, log_odds = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape)
        there = np.flatnonzero(self.truth.born <= day)
        popularity = np.log(self.truth.exposure[there])
        for first in range(0, len(users), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            odds = self._log_odds(day, users[some], there)
            drawn = uniform_at(self.seed, f"retrieval {day}", users[some, None], there)
            keys = np.log(-np.log(drawn + 2.0**-54)) - popularity - self.table.precision * odds
            places = np.argsort(keys, axis=1, kind="stable")[:, :size]
            order = np.argsort(places, axis=1)
            places = np.take_along_axis(places, order, 1)
            items[some], found[some] = there[places], order
            log_odds[some] = np.take_along_axis(odds, places, 1)
        return Candidates(items, found, log_odds)

    def clicks(self, day: int, users: Rows, items: Rows, log_odds: Floats) -> Flags:
        """Whether each item, shown at the place at which it stands, is clicked: bool (users, shown).

        A user's mind is made up beforehand: what it clicks at one place it clicks at any place that is more looked at.
        """
        return uniform_at(self.seed, f"click {day}", users[:, None], items) < self.expected(log_odds)

    def expected(self, log_odds: Floats) -> Floats:
        """The probability of a click on items shown in this order, (users, shown)."""
        chances: Floats = self.looked_at / (1 + np.exp(-log_odds))
        return chances

    def oracle(self, offered: Candidates) -> Floats:
        """The clicks to expect of each user if those most likely to be clicked were shown first, (users,)."""
        best = -np.sort(-offered.log_odds, axis=1)[:, : self.table.shown]
        clicks: Floats = self.expected(best).sum(1)
        return clicks

    def _log_odds(self, day: int, users: Rows, items: Rows) -> Floats:
        """Float64 (users, items)."""
        truth = self.truth
        angle = self.table.turn * day
        taste = truth.lasting[users] + np.cos(angle) * truth.own[users] + np.sin(angle) * truth.other[users]
        log_odds = truth.intercept[users, None] + truth.appeal[items]
        # A matrix product would round by the number of users.
        for factor in range(taste.shape[1]):
            log_odds += taste[:, factor, None] * truth.factors[items, factor]
        return log_odds
