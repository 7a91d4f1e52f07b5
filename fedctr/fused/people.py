"""Users and their samples, as the kernel reads them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedctr.cohort import block_of, padded_width
from fedctr.data.split import Part
from fedctr.features import Features, Rows
from fedctr.fused.compiled import entry
from fedctr.fused.plan import Integers
from fedctr.fused.state import Flags, Labels, People, Source
from fedctr.fused.tiles import Floats


def source_of(features: Features) -> Source:
    """Where the samples of a partition are."""
    dataset = features.dataset
    held = np.zeros(0, dtype=bool) if features.held is None else features.held.mask
    return Source(
        _fixed(dataset.item),
        _fixed(dataset.label),
        _fixed(dataset.time),
        _fixed(dataset.described),
        _fixed(dataset.user_codes),
        features.first_row,
        _fixed(held),
        features.history_length,
    )


def most_clicks(features: Features) -> int:
    """How many clicks a user has at most that histories are made of."""
    if not features.history_length:
        return 0
    start, end = (edge[features.users.start : features.users.stop] for edge in features.split.bounds("train"))
    labels = features.dataset.label[features.first_row : int(end.max(initial=features.first_row))]
    before = np.concatenate([[0], np.cumsum(labels, dtype=np.int32)])
    return int((before[end - features.first_row] - before[start - features.first_row]).max(initial=0))


def _fixed(values: npt.NDArray[np.generic]) -> Any:
    """The same, not to be written to: a kernel for arrays that can be and one for those that cannot would be two."""
    fixed = np.ascontiguousarray(values).view()
    fixed.flags.writeable = False
    return fixed


@dataclass(frozen=True, eq=False)
class Collected:
    """Some users of one padded length.

    Attributes:
        users: int64 (users,), rows of the data set.
        people: for the kernel.
        labels: float32 (users, samples), of what the devices hold to fine-tune on; 0 in the padding.
        mask: bool (users, samples), False in the padding.
        positives: int64 (users,), how many of the former are positive.
        scored_labels: uint8 (users, samples), of those to be scored; 0 in the padding.
        scored_mask: bool (users, samples), False in the padding.
        scored_positives: int64 (users,), how many of the former are positive.
    """

    users: Rows
    people: People
    labels: npt.NDArray[np.float32]
    mask: Flags
    positives: Integers
    scored_labels: Labels
    scored_mask: Flags
    scored_positives: Integers

    @classmethod
    def of(cls, source: Source, features: Features, users: Rows, part: Part, batch_size: int) -> "Collected":
        """Collect the samples of users.

        Args:
            source: where they are.
            features: the same.
            users: int64 (users,), rows of the data set.
            part: what to score.
            batch_size: samples in a step of fine-tuning.
        """
        block, count = block_of(batch_size), len(users)
        (start, stop), (other, end) = (
            [edge[users] for edge in features.split.bounds(which)] for which in ("train", part)
        )
        width, scored = padded_width(stop - start + 1, block), padded_width(end - other, block)
        local, asked = np.zeros((count, width), dtype=np.int32), np.zeros((count, scored), dtype=np.int32)
        people = People(
            source, users, start, stop - start, other, np.zeros(count, dtype=np.int64), local, end - other, asked
        )
        samples = cls(
            users,
            people,
            np.zeros(local.shape, dtype=np.float32),
            np.zeros(local.shape, dtype=bool),
            np.zeros(count, dtype=np.int64),
            np.zeros(asked.shape, dtype=np.uint8),
            np.zeros(asked.shape, dtype=bool),
            np.zeros(count, dtype=np.int64),
        )
        _collect(
            people, samples.labels, samples.mask, samples.positives, samples.scored_labels, samples.scored_mask,
            samples.scored_positives,
        )  # fmt: skip
        return samples


@entry
def _collect(
    people: People,
    labels: Floats,
    mask: Flags,
    positives: Integers,
    scored_labels: Labels,
    scored_mask: Flags,
    scored_positives: Integers,
) -> None:
    """Fill in all that is zero; see :class:`Collected`."""
    source = people.source
    for user in range(len(people.users)):
        found = 0
        for place in range(people.train[user]):
            row = people.start[user] + place
            if len(source.held) == 0 or source.held[row - source.first_row]:
                people.local[user, found] = place
                labels[user, found] = source.label[row]
                mask[user, found] = True
                positives[user] += source.label[row]
                found += 1
        people.held[user] = found
        for sample in range(people.scored[user]):
            people.asked[user, sample] = people.train[user] + sample
            scored_labels[user, sample] = source.label[people.other[user] + sample]
            scored_mask[user, sample] = True
            scored_positives[user] += scored_labels[user, sample]
