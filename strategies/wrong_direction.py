"""A control for label correction: the prior moved the wrong way."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, full_like

from fedctr import correction
from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class WrongDirection(ClientStrategy):
    """Control: move the local prior away from the global CTR, not towards it."""

    name: ClassVar[str] = "wrong-direction"
    corrects_prior: ClassVar[bool] = True

    def targets(self, local: Local, published: Published) -> Tensor:
        """Labels corrected the wrong way."""
        return correction.wrong_direction(local.labels, local.ctr, full_like(local.ctr, published.global_ctr))
