"""Plain fine-tuning on the local samples."""

from dataclasses import dataclass
from typing import ClassVar

from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class FineTuning(ClientStrategy):
    """Fine-tune all parameters on the local samples with the labels as they are."""

    name: ClassVar[str] = "fine-tuning"
