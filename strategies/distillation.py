"""Distillation: fit the labels without forgetting what the published model predicts.

Distilling the Knowledge in a Neural Network, Hinton et al., 2015, arXiv 1503.02531, at temperature 1; against
forgetting, Learning without Forgetting, Li and Hoiem, ECCV 2016, arXiv 1606.09282.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedctr.hyperparameters import check_share
from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class Distillation(ClientStrategy):
    """Cross-entropy to the labels, and to the published model's predictions p on the same samples.

    With logit f the cross-entropy to a target t is ``H(t, f) = ln(1 + exp f) - t f``, linear in t but for a term
    without t. So the weighted sum of both losses is the loss of one mixed target, which is how it is computed here:

        (1 - a) H(y, f) + a H(p, f) = ln(1 + exp f) - ((1 - a) y + a p) f = H((1 - a) y + a p, f).

    Attributes:
        share: a, of the published model's predictions; 0.1 to 0.9 are worth a search, at 1 nothing would be learnt.
    """

    name: ClassVar[str] = "distillation"
    citation: ClassVar[str] = "Hinton et al., 2015, arXiv 1503.02531; Li and Hoiem, ECCV 2016, arXiv 1606.09282"

    share: float = 0.5

    def __post_init__(self) -> None:
        check_share(share=self.share)

    def targets(self, local: Local, published: Published) -> Tensor:
        """``(1 - a) y + a p``."""
        return (1 - self.share) * local.labels + self.share * local.published_logits.sigmoid()
