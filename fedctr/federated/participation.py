"""Who takes part in a round of federated training, who never replies, and who is slow."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedctr.data.split import Split
from fedctr.randomness import uniform_at, words

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Participation:
    """How many users a round has.

    Attributes:
        share: of the users with training samples, how many are sampled for a round, rounded to the nearest number.
        dropout: how likely a sampled user never replies.
        stragglers: how likely a user that replies has got through one epoch only.
    """

    share: float = 1.0
    dropout: float = 0.0
    stragglers: float = 0.0

    def draw(self, seed: int, number: int, split: Split) -> "Draw":
        """The users of one round, which depend on the seed, the round and the users alone.

        Args:
            seed: the run's seed.
            number: of the round, from 1.
            split: tells who has training samples.
        """
        starts, stops = split.bounds("train")
        able = np.flatnonzero(stops > starts)
        count = min(max(int(self.share * len(able) + 0.5), 1), len(able))
        order = np.argsort(words(seed, f"round {number} sampled", able, 1)[:, 0], kind="stable")
        sampled = able[order[:count]]
        chances = uniform_at(seed, f"round {number} fate", sampled[:, None], np.arange(2))
        drops = chances[:, 0] < self.dropout
        lags = ~drops & (chances[:, 1] < self.stragglers)
        takes_part, slow = np.zeros(len(starts), dtype=bool), np.zeros(len(starts), dtype=bool)
        takes_part[sampled[~drops]] = True
        slow[sampled[lags]] = True
        return Draw(count, takes_part, slow)


@dataclass(frozen=True, eq=False)
class Draw:
    """The users of one round.

    Attributes:
        sampled: how many were asked.
        takes_part: bool (users of the data set,), who replies.
        slow: bool, who of them has got through one epoch only.
    """

    sampled: int
    takes_part: Flags
    slow: Flags
