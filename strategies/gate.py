"""A choice for each user: take the tuned model only if a dry run on the user's own latest samples speaks for it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fedctr.hyperparameters import check_choice, check_not_negative, check_share
from fedctr.judgement import Integers, Judge, Judged
from fedctr.published import Published
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class Gate(ClientStrategy):
    """Leave the published model to every user whom a dry run on its latest samples does not show to gain.

    The dry run is fine-tuned on the earlier samples; a user who passes is fine-tuned on all of them. One without
    held-out samples, or without both classes among them if AUC decides, keeps the published model.

    Attributes:
        share: of the local samples, the latest, which are held out of the dry run; 0.1 to 0.4 are worth a search.
        by: what is compared on them, ``auc`` or ``log-loss``.
        margin: by how much the tuned model must be better.
    """

    name: ClassVar[str] = "gate"

    share: float = 0.2
    by: Judge = "auc"
    margin: float = 0.0

    def __post_init__(self) -> None:
        check_choice(Judge, by=self.by)
        check_share(share=self.share)
        check_not_negative(margin=self.margin)

    def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
        """The published model and the tuned one."""
        return torch.stack([scored.published, scored.tuned])

    def held_out(self) -> float:
        """The share."""
        return self.share

    def choose(self, judged: Judged) -> Integers:
        """The tuned model where it is better by more than the margin."""
        published, tuned = judged.losses(self.by)
        better: Integers = (published - tuned > self.margin).astype(np.int64)
        return better
