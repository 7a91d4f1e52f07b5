"""Probability and order at once: cross-entropy on the targets beside BPR on the labels.

Combined Regression and Ranking, Sculley, KDD 2010.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedctr.hyperparameters import check_positive
from fedctr.published import Published
from fedctr.ranking import bayesian_personalised_ranking
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class Joint(ClientStrategy):
    """Cross-entropy on the targets plus ``weight`` times BPR on the labels as they are.

    Attributes:
        weight: what a sample's order counts beside its probability.
    """

    name: ClassVar[str] = "joint"
    citation: ClassVar[str] = "Sculley, Combined Regression and Ranking, KDD 2010"

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_positive(weight=self.weight)

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        """The sum of both losses of every sample."""
        order = bayesian_personalised_ranking(logits, local.labels, local.mask)
        return super().loss(logits, targets, local, published) + self.weight * order
