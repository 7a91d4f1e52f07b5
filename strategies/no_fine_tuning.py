"""The published model as it is."""

from dataclasses import dataclass
from typing import ClassVar

from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class NoFineTuning(ClientStrategy):
    """Score the published model as it is; what every strategy has to beat."""

    name: ClassVar[str] = "no-fine-tuning"
    tunes: ClassVar[bool] = False
