"""Fine-tune only the last layers: the published representation stays.

Federated Learning with Personalization Layers, Arivazhagan et al., 2019, arXiv 1912.00818.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fedctr.hyperparameters import check_count
from fedctr.models.layers import last_layers
from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class HeadOnly(ClientStrategy):
    """Fine-tune nothing but the last layers of the model's deep network.

    Attributes:
        layers: how many.
    """

    name: ClassVar[str] = "head-only"
    citation: ClassVar[str] = "Arivazhagan et al., Personalization Layers, 2019, arXiv 1912.00818"

    layers: int = 1

    def __post_init__(self) -> None:
        check_count(layers=self.layers)

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        """Weights and biases of the last layers."""
        return last_layers(parameters, self.layers)
