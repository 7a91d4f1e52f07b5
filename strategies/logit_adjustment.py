"""Logit adjustment: the prior is accounted for in the loss instead of in the labels.

Long-tail learning via logit adjustment, Menon et al., ICLR 2021, arXiv 2007.07314, equation 10.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedctr.correction import smoothed_ctr
from fedctr.hyperparameters import check_positive
from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class LogitAdjustment(ClientStrategy):
    """Add the difference of local and global prior, in log-odds, to the logits while fine-tuning.

    The loss then sees a model that knows the local prior already; the adjustment is left out when scoring.

    Attributes:
        strength: how many samples at the global CTR each user's local CTR is smoothed with, so that users of one
            class have finite log-odds.
    """

    name: ClassVar[str] = "logit-adjustment"
    citation: ClassVar[str] = "Menon et al., Long-tail learning via logit adjustment, ICLR 2021, arXiv 2007.07314"
    moves_level: ClassVar[bool] = True
    corrects_prior: ClassVar[bool] = True

    strength: float = 1.0

    def __post_init__(self) -> None:
        check_positive(strength=self.strength)

    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        """``f + logit(c) - logit(g)``."""
        target = torch.full_like(local.ctr, published.global_ctr)
        ctr = smoothed_ctr(local.positives, local.samples, target, self.strength)
        return logits + (ctr.logit() - target.logit())
