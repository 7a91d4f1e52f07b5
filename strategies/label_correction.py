"""Label correction: fine-tuning on soft labels whose mean meets the global CTR.

On-Device Model Fine-Tuning with Label Correction in Recommender Systems, arXiv 2211.01163.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, full_like

from fedctr import correction
from fedctr.hyperparameters import check_choice, check_not_negative, is_number
from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local

Variant = Literal["one-sided", "shift", "smoothed", "partial", "anchored"]
READ_BY = {"clip": "shift", "strength": "smoothed", "share": "partial"}  # each option by one variant alone


@dataclass(frozen=True)
class LabelCorrection(ClientStrategy):
    """Correct the local labels so that the local prior moves to the global CTR, then fine-tune.

    Attributes:
        variant: ``one-sided`` softens the labels of the class that is too frequent; ``shift`` adds the same
            number to every label; ``smoothed`` is one-sided with the local CTR shrunk towards the global one;
            ``partial`` is one-sided and goes only part of the way to the global CTR, in log-odds; ``anchored`` is
            one-sided towards the mean prediction of the published model on the user's samples.
        clip: with ``shift``, keep the labels within [0, 1].
        strength: with ``smoothed``, how many samples the global CTR is worth.
        share: with ``partial``, how much of the way to go: 0 leaves the labels as they are, 1 is one-sided.
    """

    name: ClassVar[str] = "label-correction"
    citation: ClassVar[str] = "arXiv 2211.01163"
    corrects_prior: ClassVar[bool] = True

    variant: Variant = "one-sided"
    clip: bool = False
    strength: float = 10.0
    share: float = 0.5

    def __post_init__(self) -> None:
        check_choice(Variant, variant=self.variant)
        if not isinstance(self.clip, bool):
            raise ValueError(f"clip {self.clip!r} must be true or false")
        check_not_negative(strength=self.strength)
        if not is_number(self.share) or not 0 <= self.share <= 1:
            raise ValueError(f"share {self.share!r} must be a number from 0 to 1")
        for option, variant in READ_BY.items():
            if getattr(self, option) != getattr(type(self), option) and self.variant != variant:
                raise ValueError(f"{option} is read by variant={variant} alone; choose that, or leave out {option}")

    def targets(self, local: Local, published: Published) -> Tensor:
        """Corrected labels."""
        target = full_like(local.ctr, published.global_ctr)
        match self.variant:
            case "one-sided":
                return correction.one_sided(local.labels, local.ctr, target)
            case "shift":
                labels = correction.shift(local.labels, local.ctr, target)
                return labels.clamp(0, 1) if self.clip else labels
            case "smoothed":
                ctr = correction.smoothed_ctr(local.positives, local.samples, target, self.strength)
                return correction.one_sided(local.labels, ctr, target)
            case "partial":
                target = correction.between(local.ctr, target, self.share)
                return correction.one_sided(local.labels, local.ctr, target)
            case "anchored":
                return correction.one_sided(local.labels, local.ctr, local.mean(local.published_logits.sigmoid()))
