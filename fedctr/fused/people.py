"""Users and their samples, as the kernel reads them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedctr.cohort import block_of, padded_rows
from fedctr.data.split import Part
from fedctr.features import Features, Rows
from fedctr.fused.plan import Integers
from fedctr.fused.state import Numbers, People


@dataclass(frozen=True, eq=False)
class Samples:
    """Some users of one padded length.

    Attributes:
        users: int64 (users,), rows of the data set.
        people: for the kernel.
        labels: float32 (users, samples), of what the devices hold to fine-tune on; 0 in the padding.
        mask: bool (users, samples), False in the padding.
        scored_labels: uint8 (users, samples), of those to be scored.
        scored_mask: bool (users, samples), False in the padding.
    """

    users: Rows
    people: People
    labels: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    scored_labels: npt.NDArray[np.uint8]
    scored_mask: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, features: Features, users: Rows, part: Part, batch_size: int, columns: tuple[Integers, Integers]
    ) -> "Samples":
        """Collect the samples of users.

        Args:
            features: the samples.
            users: int64 (users,), rows of the data set.
            part: what to score.
            batch_size: samples in a step of fine-tuning.
            columns: which of the items' and of the users' codes matter.
        """
        dataset, histories, block = features.dataset, features.histories, block_of(batch_size)
        (train, real), (scored, to_score) = (padded_rows(features, users, which, block) for which in ("train", part))
        rows, present = np.concatenate([train, scored], axis=1), np.concatenate([real, to_score], axis=1)
        codes = dataset.described[np.where(present, dataset.item[rows] + 1, 0)[..., None], columns[0]]

        first, last = (np.searchsorted(histories.clicked, bound[users]) for bound in features.split.bounds("train"))
        clicks = first[:, None] + np.arange((last - first).max(initial=0))
        clicked = histories.clicked[np.minimum(clicks, len(histories.clicked) - 1)] if clicks.size else clicks
        if clicks.size:
            relative = rows - histories.first_row
            history = np.stack([histories.begin[relative], histories.end[relative]], axis=2) - first[:, None, None]
        else:
            history = np.zeros((*rows.shape, 2))

        held = real if features.held is None else real & features.held.of(train)
        local = np.argsort(~held, axis=1, kind="stable")
        mask = np.take_along_axis(held, local, axis=1)
        labels = np.take_along_axis(dataset.label[train], local, axis=1) * mask
        people = People(
            _numbers(codes),
            _numbers(dataset.user_codes[users[:, None], columns[1]]),
            _numbers(history),
            _numbers(clicked - features.split.start[users][:, None]),
            real.sum(1),
            mask.sum(1),
            _numbers(local),
            to_score.sum(1),
            _numbers(np.broadcast_to(train.shape[1] + np.arange(scored.shape[1]), scored.shape)),
        )
        return cls(users, people, labels.astype(np.float32), mask, dataset.label[scored], to_score)


def _numbers(values: npt.NDArray[np.generic]) -> Numbers:
    return np.ascontiguousarray(values, dtype=np.int32)
