"""A control for label correction: softer labels, unmoved prior."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, full_like

from fedctr import correction
from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local


@dataclass(frozen=True)
class GapOnly(ClientStrategy):
    """Control: soften the labels as much as label correction does, but leave the local prior where it is."""

    name: ClassVar[str] = "gap-only"

    def targets(self, local: Local, published: Published) -> Tensor:
        """Softened labels with the mean of the plain ones."""
        return correction.gap_only(local.labels, local.ctr, full_like(local.ctr, published.global_ctr))
