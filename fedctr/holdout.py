"""A choice for each user between the tuned and the published model, by what a device can know by itself.

The latest of a user's local samples are held out. A dry run fine-tunes on the others, and the strategy is shown how
it does on those held out, beside the published model. A user who keeps the tuned model is fine-tuned once more, on
all local samples. Test samples have no say in it.
"""

from dataclasses import dataclass

import numpy as np

from fedctr.features import Features
from fedctr.messages import Columns
from fedctr.strategy import ClientStrategy, Kept

# Columns that a strategy may judge by.
SHOWN = ("samples", "positives", "auc", "log_loss", "ndcg_at_10")


def held_out(features: Features, share: float) -> Features:
    """The same users with the last share of their training samples, rounded down, as validation part.

    Histories hold clicks on the others alone, as those of a validation part do.
    """
    dataset, split = features.dataset, features.split.inner(share)
    return Features.build(dataset, split, features.users, features.histories.length)


@dataclass(frozen=True, eq=False)
class Judged:
    """What :func:`personalise` finds out about some users, with their tuned models and with the published one.

    Attributes:
        tuned: a row for each user and trial, in any order.
        published: a row for each user.
    """

    tuned: Columns
    published: Columns

    def in_order(self) -> "Judged":
        """The same by user and trial, with a published row beside every tuned one."""
        order = np.lexsort([self.tuned[name] for name in ("epochs", "learning_rate", "user")])
        tuned = {name: values[order] for name, values in self.tuned.items()}
        by_user = np.argsort(self.published["user"])
        beside = by_user[np.searchsorted(self.published["user"], tuned["user"], sorter=by_user)]
        return Judged(tuned, {name: values[beside] for name, values in self.published.items()})


def choose(strategy: ClientStrategy, dry: Judged, real: Judged) -> Columns:
    """A row for each user and trial: the tuned one where the user keeps it, else the published one.

    Args:
        strategy: decides.
        dry: of the samples held out, after the dry run.
        real: of the part to score, after fine-tuning on all local samples.

    Raises:
        ValueError: when the hook returns something else than a truth value for each row.
    """
    dry, real = dry.in_order(), real.in_order()
    keep = kept(strategy, dry)
    published = real.published | {name: real.tuned[name] for name in ("learning_rate", "epochs")}
    return {name: np.where(keep, values, published[name]) for name, values in real.tuned.items()}


def kept(strategy: ClientStrategy, dry: Judged) -> Kept:
    """Which of the rows of a dry run, which are in order, the strategy keeps: bool (rows,).

    Raises:
        ValueError: when the hook returns something else than a truth value for each row.
    """
    shown = ({name: rows[name].astype(np.float64) for name in SHOWN} for rows in (dry.tuned, dry.published))
    keep = strategy.keep(*shown)
    users = dry.tuned["user"]
    if not isinstance(keep, np.ndarray) or keep.dtype != bool or keep.shape != users.shape:
        found = f"{keep.dtype} {keep.shape}" if isinstance(keep, np.ndarray) else type(keep).__name__
        raise ValueError(f"keep returned {found}, expected bool {users.shape}")
    return keep
