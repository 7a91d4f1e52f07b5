"""Importance weighting: samples count as often as they would if the user's prior were the global CTR.

Adjusting the Outputs of a Classifier to New a Priori Probabilities, Saerens et al., Neural Computation 2002, for the
prior shift; Improving predictive inference under covariate shift by weighting the log-likelihood function, Shimodaira,
Journal of Statistical Planning and Inference 2000, for the weighted loss.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class Reweighting(ClientStrategy):
    """Count a positive ``g / c`` times and a negative ``(1 - g) / (1 - c)`` times, and leave the labels as they are.

    If users differ from everybody in their prior alone, ``p(x | y)`` is shared, and a loss over everybody's samples is
    the local loss with weights ``p_g(x, y) / p_c(x, y) = p_g(y) / p_c(y)``, which are these. They are 1 on average for
    a user with both classes, the weighted share of positives is g, and at a model that predicts g for every sample the
    gradient of the output bias vanishes: ``(1 - c) (1 - g) / (1 - c) g - c g / c (1 - g) = 0``.

    A user of one class has nothing to balance: its weights, g or 1 - g, are the limit of the formula. The single
    positive of n samples counts g n times, so large learning rates diverge sooner than with label correction.
    """

    name: ClassVar[str] = "reweighting"
    citation: ClassVar[str] = "Saerens et al., Adjusting to New a Priori Probabilities, Neural Computation 2002"
    corrects_prior: ClassVar[bool] = True

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        """The weighted cross-entropy of every sample."""
        target = torch.full_like(local.ctr, published.global_ctr)
        positive = target / torch.where(local.ctr > 0, local.ctr, 1.0)
        negative = (1 - target) / torch.where(local.ctr < 1, 1 - local.ctr, 1.0)
        weight = torch.where(local.labels > 0, positive, negative)
        return weight * super().loss(logits, targets, local, published)
