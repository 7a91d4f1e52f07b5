"""Stay near the published model: a quadratic pull towards its parameters.

Ditto: Fair and Robust Federated Learning Through Personalization, Li et al., ICML 2021, arXiv 2012.04221; the same
term as in FedProx, Li et al., MLSys 2020, arXiv 1812.06127.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedctr.distance import squared_distance
from fedctr.hyperparameters import check_positive
from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class Proximal(ClientStrategy):
    """Add ``weight / 2`` times the squared distance to the published parameters to the loss.

    Attributes:
        weight: how strong the pull is; a step of rate r takes back r * weight of the way gone so far.
    """

    name: ClassVar[str] = "proximal"
    citation: ClassVar[str] = "Li et al., Ditto, ICML 2021, arXiv 2012.04221"

    weight: float = 0.1

    def __post_init__(self) -> None:
        check_positive(weight=self.weight)

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor:
        """The pull, (users,)."""
        return self.weight / 2 * squared_distance(parameters, origin)
