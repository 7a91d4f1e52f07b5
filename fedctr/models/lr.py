"""Logistic regression on the coded features."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import Embeddings
from fedctr.models.model import Model


class LR(Model):
    """Logistic regression: one weight for each value of each field.

    Args:
        schema: the fields.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "lr"
    citation: ClassVar[str] = "Richardson, Dominowska and Ragno, Predicting Clicks, WWW 2007"

    def __init__(self, schema: Schema, *, user_id: bool = False) -> None:
        super().__init__(schema)
        self.user = Embeddings("user", schema.user_fields, 1, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, 1)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        logits: Tensor = self.user(batch.user).sum(-1) + self.item(batch.item).sum(-1) + self.bias
        return logits
