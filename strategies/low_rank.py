"""Tune low-rank changes of the dense layers: a device learns two thin matrices in the place of each wide one.

LoRA: Low-Rank Adaptation of Large Language Models, Hu et al., ICLR 2022, arXiv 2106.09685.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fedctr.adapter import Adapter
from fedctr.hyperparameters import check_count
from fedctr.models.descent import product
from fedctr.models.layers import dense_weights
from fedctr.randomness import normal
from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class LowRank(ClientStrategy):
    """Fine-tune ``W + B A`` in the place of each dense layer's weight ``W``, with ``B`` and ``A`` of low rank.

    ``B`` (outputs, rank) begins with zeros, ``A`` (rank, inputs) with normal numbers of variance 1 / rank, the same on
    all devices. A first step of rate r thus moves the weight by ``-r G A' A`` for a gradient ``G``: in the mean over
    ``A`` as far as plain fine-tuning would, so that step sizes mean the same for any rank. Embedding tables and biases
    stay. A weight with no more than ``rank`` rows or columns is tuned itself: its rank is no higher.

    Attributes:
        rank: of the changes; 1 to 8 is worth a search, less than the width of the layers.
    """

    name: ClassVar[str] = "low-rank"
    citation: ClassVar[str] = "Hu et al., LoRA, ICLR 2022, arXiv 2106.09685"

    rank: int = 4

    def __post_init__(self) -> None:
        check_count(rank=self.rank)

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        """The weights of the dense layers."""
        return dense_weights(parameters)

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter | None:
        """Both matrices."""
        if self.rank >= min(weight.shape):
            return None
        outputs, inputs = weight.shape
        drawn = normal(seed, f"low-rank {name}", np.zeros(1, dtype=np.int64), self.rank * inputs)
        start = torch.from_numpy(drawn / self.rank**0.5).float().view(self.rank, inputs)
        return Adapter(
            {"B": torch.zeros(outputs, self.rank), "A": start},
            lambda origin, tuned: product(tuned["B"], tuned["A"], origin),
        )
