"""The evaluation protocol: validation chooses each strategy's hyperparameters, then test is touched once.

Every strategy has the same budget: all learning rates times all numbers of epochs, each with every seed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedctr.metrics import auc_user_mean


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
        Columns ``learning_rate``, ``epochs``, ``auc_user_mean`` (the mean over seeds; NaN where a user diverged).
    """
    curve = []
    for (rate, epochs), trial in rows.groupby(["learning_rate", "epochs"]):
        seeds = [auc_user_mean(seed["auc"].to_numpy()) for _, seed in trial.groupby("seed")]
        value = np.nan if trial["diverged"].any() else float(np.mean(seeds))
        curve.append((float(rate), int(epochs), value))
    return pd.DataFrame(curve, columns=["learning_rate", "epochs", "auc_user_mean"])


def choose(curve: pd.DataFrame) -> Trial | None:
    """The trial with the highest user AUC, of equals the one that changes the model least; None if all diverged."""
    ordered = curve.dropna().sort_values(["learning_rate", "epochs"])
    if ordered.empty:
        return None
    best = ordered.loc[ordered["auc_user_mean"].idxmax()]
    return Trial(float(best["learning_rate"]), int(best["epochs"]))
