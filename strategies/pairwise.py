"""Pairwise ranking: only the order of a user's positives and negatives is learnt.

BPR: Bayesian Personalized Ranking from Implicit Feedback, Rendle et al., UAI 2009, arXiv 1205.2618.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedctr.published import Published
from fedctr.ranking import bayesian_personalised_ranking
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class Pairwise(ClientStrategy):
    """BPR: every positive of a minibatch should score above every negative; the prior drops out of the loss."""

    name: ClassVar[str] = "pairwise"
    citation: ClassVar[str] = "Rendle et al., BPR, UAI 2009, arXiv 1205.2618"
    reads_targets: ClassVar[bool] = False
    reads_level: ClassVar[bool] = False

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        """Each sample's mean over the pairs that it is in."""
        return bayesian_personalised_ranking(logits, local.labels, local.mask)
