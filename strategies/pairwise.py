"""Pairwise ranking: only the order of a user's positives and negatives is learnt.

BPR: Bayesian Personalized Ranking from Implicit Feedback, Rendle et al., UAI 2009, arXiv 1205.2618.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class Pairwise(ClientStrategy):
    """BPR: every positive of a minibatch should score above every negative; the prior drops out of the loss."""

    name: ClassVar[str] = "pairwise"
    citation: ClassVar[str] = "Rendle et al., BPR, UAI 2009, arXiv 1205.2618"

    def loss(self, logits: Tensor, targets: Tensor, local: Local) -> Tensor:
        """``-ln sigmoid(f+ - f-)``, for each sample the mean over the samples of the other class; 0 without any."""
        sign = (2 * local.labels - 1).unsqueeze(2)
        margins = sign * (logits.unsqueeze(2) - logits.unsqueeze(1))
        opposite = (local.labels.unsqueeze(2) != local.labels.unsqueeze(1)) & local.mask.unsqueeze(1)
        return (F.softplus(-margins) * opposite).sum(2) / opposite.sum(2).clamp(min=1)
