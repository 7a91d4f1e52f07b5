"""kNN-Per: the published model beside a memory of the user's own samples.

Personalized Federated Learning through Local Memorization, Marfoq, Neglia, Kameni and Vidal, ICML 2022, arXiv
2111.09360.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedctr.fused.neighbours import votes_of_nearest
from fedctr.hyperparameters import check_count, check_positive, check_share
from fedctr.mixing import mixtures
from fedctr.published import Published
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local

NEARLY = 1e-6  # a probability comes no nearer to 0 or 1, so that its logit stays finite


@dataclass(frozen=True)
class KnnPer(ClientStrategy):
    """Mix the published prediction with the labels of the user's own samples that are nearest; nothing is fine-tuned.

    With z(x) the published model's penultimate layer, of width D, and N(x) the ``neighbours`` local samples i nearest
    to a sample x in it, those as far as the last of them included, a device predicts

        q(x) = sum over N(x) of w_i y_i / sum over N(x) of w_i,   w_i = exp(- |z(x) - z_i|^2 / (scale D)),

    and scores x by the logit of ``(1 - a) p(x) + a q(x)``, with p the published prediction and a in {0, 0.1, ..., 0.9}:
    where all neighbours agree, p alone can tell samples apart. It takes the a of the least log loss on its held-out
    samples, with the others as memory, and then all of them. A device without held-out samples has a = 0, and one
    without local samples q = p.

    Attributes:
        neighbours: how many; 5 to 20 are worth a search.
        scale: of the kernel; 0.01 to 10 are worth a search, in powers of ten.
        share: of the local samples, the latest, which are held out; 0.1 to 0.4 are worth a search.
    """

    name: ClassVar[str] = "knn-per"
    citation: ClassVar[str] = "Marfoq et al., Local Memorization, ICML 2022, arXiv 2111.09360"
    tunes: ClassVar[bool] = False
    reads_representations: ClassVar[bool] = True

    neighbours: int = 10
    scale: float = 1.0
    share: float = 0.2

    def __post_init__(self) -> None:
        check_count(neighbours=self.neighbours)
        check_positive(scale=self.scale)
        check_share(share=self.share)

    def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
        """A mixture for every weight, the published model first."""
        prediction = scored.published.sigmoid()
        mixed = mixtures(prediction, torch.where(local.samples > 0, self.remembered(scored, local), prediction))
        return torch.cat([scored.published.unsqueeze(0), mixed[1:-1].logit(NEARLY)])

    def held_out(self) -> float:
        """The share."""
        return self.share

    def remembered(self, scored: Scored, local: Local) -> Tensor:
        """What the nearest local samples say, float32 (users, samples); anything for a user without local samples."""
        here, there = scored.representations, scored.local_representations
        scale = self.scale * here.shape[2]
        return votes_of_nearest(here, there, local.labels, local.mask, self.neighbours, scale)
