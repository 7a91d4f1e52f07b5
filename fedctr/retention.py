"""Which of its training samples a device still holds when it fine-tunes.

A device may have lost some: thinning one class moves the local CTR away from the global one, which is the drift that a
correction answers to. The cloud trains on all samples all the same, and a sample's history stays what it was.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pydantic import StrictFloat, StrictInt

from fedctr.data.dataset import Dataset
from fedctr.data.split import Rows, Split
from fedctr.errors import FedctrError
from fedctr.randomness import uniform_at

AT_ONCE = 1 << 18  # samples that are drawn for at once, or those of a single user


@dataclass(frozen=True)
class Retention:
    """What a device keeps of its training samples.

    Attributes:
        keep_positives: probability that a positive is kept; each sample is drawn for by itself.
        keep_negatives: the same of a negative.
        most: how many of these are held at most, the latest; None for all.
    """

    keep_positives: StrictFloat = 1.0
    keep_negatives: StrictFloat = 1.0
    most: StrictInt | None = None

    def __post_init__(self) -> None:
        for name in ("keep_positives", "keep_negatives"):
            if not 0 <= getattr(self, name) <= 1:
                raise FedctrError(f"local: {name} {getattr(self, name)} must be a share from 0 to 1")
        if self.most is not None and self.most < 1:
            raise FedctrError(f"local: most {self.most} must be at least 1; leave it out to hold all")


EVERYTHING = Retention()


@dataclass(frozen=True, eq=False)
class Held:
    """The training samples that the devices of some neighbouring users hold.

    Attributes:
        first_row: row of the data set where these users begin.
        mask: bool (rows,), True where a row of theirs is held.
        samples: int64 (users,), how many each of them holds.
    """

    first_row: int
    mask: npt.NDArray[np.bool_]
    samples: Rows

    @classmethod
    def draw(cls, dataset: Dataset, split: Split, users: range, retention: Retention, seed: int) -> "Held":
        """Draw for every training sample of a range of users; each draw is of (seed, user, place) alone."""
        bounds = dataset.offsets[users.start : users.stop + 1] - dataset.offsets[users.start]
        mask, samples = np.zeros(bounds[-1], dtype=bool), np.zeros(len(users), dtype=np.int64)
        full = np.searchsorted(bounds, np.arange(0, bounds[-1], AT_ONCE))
        for start, stop in pairwise(np.unique([0, *full, len(users)]).tolist()):
            some = np.arange(users.start + start, users.start + stop)
            mask[bounds[start] : bounds[stop]], samples[start:stop] = _draw(dataset, split, some, retention, seed)
        return cls(int(dataset.offsets[users.start]), mask, samples)

    def of(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Whether int64 (...) rows of the data set, which belong to these users, are held."""
        if not len(self.mask):
            return np.zeros(rows.shape, dtype=bool)
        return self.mask[rows - self.first_row]


def _draw(
    dataset: Dataset, split: Split, users: Rows, retention: Retention, seed: int
) -> tuple[npt.NDArray[np.bool_], Rows]:
    """Which rows of some neighbouring users are held, bool (rows,), and how many of each user's, int64 (users,)."""
    start, stop = dataset.offsets[users], dataset.offsets[users + 1]
    rows, owner = np.arange(start[0], stop[-1]), np.repeat(np.arange(len(users)), stop - start)
    bounds = np.append(start, stop[-1]) - start[0]
    # All are below a share of 1, and none below 0.
    drawn = uniform_at(seed, "held", users[owner], rows - start[owner])
    share = np.where(dataset.label[rows] > 0, retention.keep_positives, retention.keep_negatives)
    held = (rows < split.train_end[users][owner]) & (drawn < share)
    if retention.most is not None:
        before = np.concatenate([[0], np.cumsum(held)])
        held &= before[bounds[1:]][owner] - before[1:] < retention.most
    before = np.concatenate([[0], np.cumsum(held)])
    return held, np.diff(before[bounds])
