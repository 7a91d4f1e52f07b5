"""The evaluation protocol: validation chooses each strategy's hyperparameters, then test is touched once.

Every strategy has the same budget: all learning rates times all numbers of epochs, each with every seed. Where that is
a single trial there is nothing to choose, and validation is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fedctr.judgement import Judge
from fedctr.metrics import auc_user_mean

_BEST: dict[Judge, tuple[str, int]] = {"log-loss": ("log_loss", 1), "auc": ("auc", -1)}  # column, and its sign


@dataclass(frozen=True, order=True)
class Trial:
    """Hyperparameters of fine-tuning that are tried on validation."""

    learning_rate: float
    epochs: int


def validation_curve(rows: pd.DataFrame) -> pd.DataFrame:
    """User AUC of every trial of one strategy.

    Args:
        rows: validation rows of all seeds, with ``seed``, ``learning_rate``, ``epochs``, ``auc``, ``diverged``.

    Returns:
        Columns ``learning_rate``, ``epochs``, ``auc_user_mean`` (the mean over seeds; NaN where no user has an AUC)
        and ``diverged`` (users and seeds in which the model did).
    """
    trials = rows.groupby(["learning_rate", "epochs", "seed"], as_index=False).agg(
        auc_user_mean=("auc", lambda auc: auc_user_mean(auc.to_numpy())), diverged=("diverged", "sum")
    )
    return trials.groupby(["learning_rate", "epochs"], as_index=False).agg(
        auc_user_mean=("auc_user_mean", "mean"), diverged=("diverged", "sum")
    )


def choose(curve: pd.DataFrame) -> Trial | None:
    """The trial with the highest user AUC, of equals the one that changes the model least.

    None if several trials are there to choose from and validation has no AUC to tell them apart.
    """
    trials = [
        (-auc, Trial(rate, epochs))
        for rate, epochs, auc in curve[["learning_rate", "epochs", "auc_user_mean"]].itertuples(index=False)
    ]
    if len(trials) > 1:
        trials = [trial for trial in trials if not np.isnan(trial[0])]
    return min(trials)[1] if trials else None


def falls_short(measured: Mapping[str, Any], by: Judge) -> float:
    """What is lowest where a global model does best on validation, of its ``log_loss`` and ``auc`` there."""
    column, sign = _BEST[by]
    return sign * float(measured[column])


def best_rounds(rounds: pd.DataFrame, by: Judge) -> pd.DataFrame:
    """The round that each seed of federated training publishes, the best on validation.

    Args:
        rounds: for each ``seed`` and ``round`` the ``log_loss`` and ``auc``; the untrained model of round 0 is
            left out.
        by: which of the two is to be best.

    Returns:
        A row for each seed.
    """
    later = rounds[rounds["round"] > 0].reset_index(drop=True)
    column, sign = _BEST[by]
    return later.loc[(sign * later[column]).groupby(later["seed"]).idxmin()].reset_index(drop=True)
