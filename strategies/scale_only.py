"""Tune nothing but scales: how much each input of a dense layer counts.

Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning, Liu et al., NeurIPS 2022,
arXiv 2205.05638.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fedctr.adapter import Adapter
from fedctr.models.layers import dense_weights
from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class ScaleOnly(ClientStrategy):
    """Fine-tune a scale for each input of each dense layer: ``W (s * x) + b``, with ``s`` 1 at first.

    The models have no layer norm; ``s`` is the gain of one that would stand before the layer. Of a hidden unit it is
    the paper's rescaled activation, and of an embedded feature how much it counts for this user. Weights, biases and
    embedding tables stay.
    """

    name: ClassVar[str] = "scale-only"
    citation: ClassVar[str] = "Liu et al., (IA)3, NeurIPS 2022, arXiv 2205.05638"

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        """The weights of the dense layers, whose columns are scaled."""
        return dense_weights(parameters)

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter:
        """A scale for each column."""
        return Adapter(
            {"scale": torch.ones(weight.shape[1])},
            lambda origin, tuned: origin * tuned["scale"].unsqueeze(1),
        )
