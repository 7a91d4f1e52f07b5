"""A mixture of the published and the tuned model, with a weight that each device chooses.

Adaptive Personalized Federated Learning (APFL), Deng, Kamani and Mahdavi, 2020, arXiv 2003.13461.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedctr.hyperparameters import check_choice, check_share
from fedctr.judgement import Integers, Judge, Judged
from fedctr.mixing import mixtures
from fedctr.published import Published
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class Mixture(ClientStrategy):
    """Score by a mixture of the published model and the tuned one, whose weight suits the user's own latest samples.

    With logit p of the published model and t of the tuned one a device scores by

        (1 - a) p + a t,   a in {0, 0.1, ..., 1},

    and takes the a that is best on the held-out samples after a dry run on the others, the least of equals. Then it is
    fine-tuned on all of its samples. Of LR this is the very mixture of parameters that APFL takes. There a follows its
    gradient while the global model is trained; here that one is published, and on the samples that the tuned model has
    fitted a gradient would only lead to a = 1. A device without held-out samples, or without both classes among them if
    AUC decides, keeps the published model.

    Attributes:
        share: of the local samples, the latest, which are held out of the dry run; 0.1 to 0.4 are worth a search.
        by: what is best, the least ``log-loss`` or the highest ``auc``; label correction moves the log loss on purpose.
    """

    name: ClassVar[str] = "mixture"
    citation: ClassVar[str] = "Deng et al., Adaptive Personalized Federated Learning, 2020, arXiv 2003.13461"

    share: float = 0.2
    by: Judge = "log-loss"

    def __post_init__(self) -> None:
        check_share(share=self.share)
        check_choice(Judge, by=self.by)

    def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
        """A mixture for every weight, the published model first."""
        return mixtures(scored.published, scored.tuned)

    def held_out(self) -> float:
        """The share."""
        return self.share

    def choose(self, judged: Judged) -> Integers:
        """The weight that is best."""
        best: Integers = judged.losses(self.by).argmin(0)
        return best
