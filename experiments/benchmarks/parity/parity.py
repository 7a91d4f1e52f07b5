"""Our globally trained models against a library's of the same kind.

Trains models with fedctr and with DeepCTR-Torch (https://github.com/shenweichen/DeepCTR-Torch) on the same
MovieLens-100K split, features and budget, and prints a Markdown table of the test metrics of both. It exits with an
error if one of ours is worse by more than noise.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import torch
from library import LIBRARY, Floats, library, rows_of

from fedctr import metrics
from fedctr.cloud import CloudTraining, publish
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.split import Fractions, Split, split
from fedctr.features import Features
from fedctr.statistics import Interval, paired_difference


@dataclass(frozen=True)
class Result:
    """What a method reached on the test part: pooled AUC and log loss (seeds,), AUC per user (users, seeds)."""

    pooled_auc: Floats
    log_loss: Floats
    auc_by_user: Floats

    @property
    def user_auc(self) -> Floats:
        """Mean over users, (seeds,)."""
        return np.array([metrics.auc_user_mean(auc) for auc in self.auc_by_user.T])


def evaluate(dataset: Dataset, parts: Split, logits_by_seed: list[Floats]) -> Result:
    """Score logits of the test part, (samples,) for each seed."""
    labels = dataset.label[rows_of(parts, "test")]
    first, stop = parts.bounds("test")
    impressions = stop - first
    offsets = np.concatenate([[0], np.cumsum(impressions)])
    losses = [metrics.user_log_loss(logits, labels, offsets) for logits in logits_by_seed]
    return Result(
        np.array([metrics.auc(logits, labels) for logits in logits_by_seed]),
        np.array([metrics.log_loss_impressions(loss, impressions) for loss in losses]),
        np.column_stack([metrics.user_auc(logits, labels, offsets) for logits in logits_by_seed]),
    )


def ours(name: str, dataset: Dataset, parts: Split, training: CloudTraining, seed: int) -> Floats:
    """Logits of the test part by our model."""
    published, _ = publish(name, dataset, Fractions(), training, seed, lambda epoch, loss: None)
    model = published.model.eval()
    features = Features(dataset, parts, range(dataset.users), model.history_length)
    owner = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))
    rows = rows_of(parts, "test")
    with torch.no_grad():
        logits: Floats = model(features.batch(rows[None], owner[rows][None]))[0].numpy().astype(np.float64)
    return logits


def standard_error(mine: Floats, theirs: Floats) -> float:
    """Of the difference between two means over seeds."""
    return float(np.sqrt(mine.var(ddof=1) / len(mine) + theirs.var(ddof=1) / len(theirs)))


def table_row(name: str, metric: str, mine: Floats, theirs: Floats, users: Interval | None) -> str:
    """One row of the table."""
    cells = [f"{scores.mean():.4f} ± {scores.std(ddof=1):.4f}" for scores in (mine, theirs)]
    error = 2 * standard_error(mine, theirs)
    interval = f"[{users.low:+.4f}, {users.high:+.4f}]" if users else ""
    return (
        f"| {name} | {metric} | {' | '.join(cells)} | {mine.mean() - theirs.mean():+.4f} | {error:.4f} | {interval} |"
    )


def main() -> int:
    """Print the table; 1 if one of our models is worse in user AUC or pooled AUC than noise explains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, at least 2 (default: 3)")
    parser.add_argument("--models", nargs="+", choices=list(LIBRARY), default=list(LIBRARY))
    parser.add_argument("--learning-rate", type=float, help="of both (default: that of fedctr's cloud training)")
    parser.add_argument("--as-shipped", action="store_true", help="leave the library its own initial parameters")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds must be at least 2: the noise is measured over them")
    training = CloudTraining(learning_rate=arguments.learning_rate or CloudTraining.learning_rate)
    torch.set_num_threads(1)

    dataset = open_dataset("movielens-100k")
    parts = split(dataset, Fractions())
    print("| model | metric | fedctr | DeepCTR-Torch | difference | 2 standard errors | over users and seeds (95 %) |")
    print("|---|---|---|---|---|---|---|")
    worse = []
    for name in arguments.models:
        seeds = range(arguments.seeds)
        mine = evaluate(dataset, parts, [ours(name, dataset, parts, training, seed) for seed in seeds])
        theirs = evaluate(
            dataset, parts, [library(name, dataset, parts, training, seed, arguments.as_shipped) for seed in seeds]
        )
        users = paired_difference(mine.auc_by_user - theirs.auc_by_user)
        print(table_row(name, "pooled AUC", mine.pooled_auc, theirs.pooled_auc, None))
        print(table_row(name, "user AUC", mine.user_auc, theirs.user_auc, users))
        print(table_row(name, "log loss", mine.log_loss, theirs.log_loss, None), flush=True)
        short = theirs.pooled_auc.mean() - mine.pooled_auc.mean()
        if users.high < 0 or short > 2 * standard_error(mine.pooled_auc, theirs.pooled_auc):
            worse.append(name)
    if worse:
        print(f"worse than the library by more than noise: {', '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
