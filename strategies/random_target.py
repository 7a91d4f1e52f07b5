"""A control for label correction: the same correction, towards a number that is drawn."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, full_like

from fedctr import correction
from fedctr.hyperparameters import is_number
from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class RandomTarget(ClientStrategy):
    """Control: correct the labels one-sidedly towards a target drawn for each user instead of the global CTR.

    The target is drawn evenly from ``g - s m`` to ``g + s m`` with ``m = min(g, 1 - g)``. That is fair to the control:
    it is right on average over users, so that labels are moved and softened by about as much as label correction does.
    Only the common target is gone: a user's own has nothing to do with it, nor with what the published model predicts.
    What label correction gains over it is owed to the global CTR being the right target.

    Attributes:
        spread: s, how far the target may be from the global CTR, as a share of the way to the nearer of 0 and 1. At 0
            it would be label correction, and at 1 some users all but lose their labels; 0.25 to 0.75 make sense.
    """

    name: ClassVar[str] = "random-target"
    corrects_prior: ClassVar[bool] = True

    spread: float = 0.5

    def __post_init__(self) -> None:
        if not is_number(self.spread) or not 0 < self.spread <= 1:
            raise ValueError(f"spread {self.spread!r} must be a number above 0, up to 1")

    def targets(self, local: Local, published: Published) -> Tensor:
        """Labels corrected towards the user's draw."""
        target = full_like(local.ctr, published.global_ctr)
        furthest = self.spread * target.minimum(1 - target)
        return correction.one_sided(local.labels, local.ctr, target + furthest * (2 * local.random(self.name) - 1))
