"""Factorisation machine: every pair of fields interacts by the inner product of their embeddings."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import Embeddings, check_sizes, second_order
from fedctr.models.model import Model


class FM(Model):
    """Factorisation machine of degree two on the fields of user, item and mean history.

    The history takes part in the pairs only: its fields share the item's embeddings, and have no first-order weights.

    Args:
        schema: the fields.
        embedding: size of a field's embedding.
        history: how many earlier clicks are averaged.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "fm"
    citation: ClassVar[str] = "Rendle, Factorization Machines, ICDM 2010"

    def __init__(self, schema: Schema, *, embedding: int = 16, history: int = 20, user_id: bool = False) -> None:
        super().__init__(schema)
        check_sizes(embedding=embedding, history=history)
        self.history_length = history
        self.size = embedding
        self.first_user = Embeddings("user", schema.user_fields, 1, identity=user_id)
        self.first_item = Embeddings("item", schema.item_fields, 1)
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        pairs = second_order(self.size, self.user(batch.user), self.item(batch.item), self.item(batch.mean_click))
        first = self.first_user(batch.user).sum(-1) + self.first_item(batch.item).sum(-1)
        logits: Tensor = first + pairs + self.bias
        return logits
