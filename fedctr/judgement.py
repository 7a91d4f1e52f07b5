"""How well logits do, user by user, and what that says of the candidates that a device chooses from."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fedctr import metrics

Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]
Columns = dict[str, npt.NDArray[np.generic]]
Judge = Literal["auc", "log-loss"]


@dataclass(frozen=True, eq=False)
class Judged:
    """What the samples that devices have held out say of each candidate.

    Attributes:
        auc: float64 (candidates, users), NaN where a user has not held out both classes.
        log_loss: float64 (candidates, users), NaN where a user has held out nothing.
        ndcg_at_10: float64 (candidates, users), NaN where a user has held out no positive.
        samples: int64 (users,), how many are held out.
        positives: int64 (users,), how many of these are positive.
    """

    auc: Values
    log_loss: Values
    ndcg_at_10: Values
    samples: Integers
    positives: Integers

    @classmethod
    def of(cls, candidates: Logits, labels: npt.NDArray[np.uint8], samples: Integers) -> "Judged":
        """Judge the candidates.

        Args:
            candidates: float32 (candidates, samples), one user after the other.
            labels: uint8 (samples,).
            samples: int64 (users,), how many each user has.
        """
        shape = len(candidates), len(samples)
        found = measured(candidates.ravel(), np.tile(labels, shape[0]), np.tile(samples, shape[0]))
        before = np.concatenate([[0], np.cumsum(labels, dtype=np.int64)])[_offsets(samples)]
        auc, loss, ndcg = (found[name].reshape(shape) for name in ("auc", "log_loss", "ndcg_at_10"))
        return cls(auc, loss, ndcg, samples, np.diff(before))

    def losses(self, by: Judge) -> Values:
        """What is the less, the better: the log loss, or the AUC with the sign turned."""
        return self.log_loss if by == "log-loss" else -self.auc


def measured(logits: Logits, labels: npt.NDArray[np.uint8], samples: Integers) -> dict[str, npt.NDArray[Any]]:
    """Each user's metrics: columns of one value per user.

    A device whose model diverged can rank nothing: all of its scores count as 0.

    Args:
        logits: float32 (samples,), one user after the other.
        labels: uint8 (samples,).
        samples: int64 (users,), how many each user has.
    """
    offsets = _offsets(samples)
    wild = np.concatenate([[0], np.cumsum(~np.isfinite(logits))])
    diverged = wild[offsets[1:]] > wild[offsets[:-1]]
    scores = np.where(np.repeat(diverged, samples), np.float32(0), logits)
    return {
        "diverged": diverged,
        "auc": metrics.user_auc(scores, labels, offsets),
        "log_loss": metrics.user_log_loss(scores, labels, offsets),
        "ndcg_at_10": metrics.user_ndcg(scores, labels, offsets, k=10),
        "predicted_clicks": metrics.user_predicted_clicks(scores, offsets),
    }


def _offsets(samples: Integers) -> Integers:
    return np.concatenate([[0], np.cumsum(samples)])
