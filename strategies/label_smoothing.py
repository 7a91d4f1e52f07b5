"""A control for label correction: softer labels that know nothing of any prior.

Rethinking the Inception Architecture for Computer Vision, Szegedy et al., CVPR 2016, arXiv 1512.00567, section 7.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedctr.hyperparameters import check_share
from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class LabelSmoothing(ClientStrategy):
    """Control: mix every label with a fair coin, ``(1 - e) y + e / 2``, whatever the user's CTR.

    Attributes:
        share: e, of the coin; 0.02 to 0.4 are worth a search, at 1 all labels are one half.
    """

    name: ClassVar[str] = "label-smoothing"
    citation: ClassVar[str] = "Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, arXiv 1512.00567"

    share: float = 0.1

    def __post_init__(self) -> None:
        check_share(share=self.share)

    def targets(self, local: Local, published: Published) -> Tensor:
        """The smoothed labels."""
        return (1 - self.share) * local.labels + self.share / 2
