"""List-wise ranking: a user's positives compete with all other samples of the minibatch at once.

Learning to Rank: From Pairwise Approach to Listwise Approach, Cao et al., ICML 2007 (ListNet), with binary relevance as
in An Analysis of the Softmax Cross Entropy Loss for Learning-to-Rank with Binary Relevance, Bruch et al., ICTIR 2019.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedctr.published import Published
from fedctr.ranking import softmax_cross_entropy
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class Listwise(ClientStrategy):
    """Softmax cross-entropy over a minibatch: its positives share the probability; the prior drops out of the loss."""

    name: ClassVar[str] = "listwise"
    citation: ClassVar[str] = "Cao et al., ListNet, ICML 2007; Bruch et al., Softmax Cross Entropy, ICTIR 2019"
    reads_targets: ClassVar[bool] = False
    reads_level: ClassVar[bool] = False

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        """What each sample adds to the loss of its list."""
        return softmax_cross_entropy(logits, local.labels, local.mask)
