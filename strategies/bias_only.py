"""A control: a device that can learn its prior and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fedctr.models.layers import last_layers
from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class BiasOnly(ClientStrategy):
    """Control: fine-tune the output bias alone, which moves the prior and changes no ranking."""

    name: ClassVar[str] = "bias-only"
    moves_level: ClassVar[bool] = True

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        """The model's own ``bias`` where it has one, else that of the last layer of its deep network."""
        if "bias" in parameters:
            return ["bias"]
        found = [name for name in last_layers(parameters, 1) if name.endswith(".bias")]
        if not found:
            raise ValueError("the last layer of the model's deep network has no bias")
        return found
