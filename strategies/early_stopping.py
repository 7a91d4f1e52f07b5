"""Early stopping: each user is fine-tuned for as many epochs as its own held-out samples speak for.

Early Stopping - But When?, Prechelt, in Neural Networks: Tricks of the Trade, Springer 1998; the second run, on all
samples, is algorithm 7.2 of Deep Learning, Goodfellow, Bengio and Courville, MIT Press 2016.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from fedctr.hyperparameters import check_choice, check_count, check_share
from fedctr.judgement import Integers, Judge, Judged
from fedctr.published import Published
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class EarlyStopping(ClientStrategy):
    """Fine-tune each user for as many epochs as are best on its own latest samples, or not at all.

    With L(e) what the held-out samples lose after e epochs of a dry run on the earlier samples, a device goes on until
    ``patience`` epochs in a row have brought no L below the least so far, or until there are no more epochs. Of the
    epochs that it has seen, from 0, it takes

        e* = argmin L(e), the first of equals,

    and is fine-tuned for e* epochs on all of its samples. One without held-out samples, or without both classes among
    them if AUC decides, keeps the published model.

    Attributes:
        share: of the local samples, the latest, which are held out of the dry run; 0.1 to 0.4 are worth a search.
        patience: epochs in a row that may bring nothing better; 1 to 5 are worth a search, with more epochs than that.
        by: what L is, ``log-loss``, or ``auc`` with the sign turned; label correction moves the log loss on purpose.
    """

    name: ClassVar[str] = "early-stopping"
    citation: ClassVar[str] = "Prechelt, Early Stopping - But When?, 1998"

    share: float = 0.2
    patience: int = 2
    by: Judge = "log-loss"

    def __post_init__(self) -> None:
        check_share(share=self.share)
        check_count(patience=self.patience)
        check_choice(Judge, by=self.by)

    def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
        """The model after each epoch, the published one first."""
        return scored.logits

    def held_out(self) -> float:
        """The share."""
        return self.share

    def choose(self, judged: Judged) -> Integers:
        """The best epoch among those before a device gives up."""
        losses = judged.losses(self.by)
        best = np.zeros(losses.shape[1], dtype=np.int64)
        least = losses[0].copy()
        for epoch in range(1, len(losses)):
            better = (epoch - best <= self.patience) & (losses[epoch] < least)
            best[better], least[better] = epoch, losses[epoch][better]
        return best
