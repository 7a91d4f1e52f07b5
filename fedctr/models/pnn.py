"""Product-based neural network: an MLP on embeddings and on the inner products of all pairs of them."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embeddings, check_sizes, inner_products
from fedctr.models.model import Model


class PNN(Model):
    """The inner-product variant (IPNN) on the fields of user, item and mean history.

    The first layer has a weight for every pair; the paper also offers to factorise them, which pays with far more
    fields than these.

    Args:
        schema: the fields.
        embedding: size of a field's embedding.
        hidden: widths of the MLP's hidden layers.
        history: how many earlier clicks are averaged.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "pnn"
    citation: ClassVar[str] = "Qu et al., Product-based Neural Networks, ICDM 2016, arXiv 1611.00144"

    def __init__(
        self,
        schema: Schema,
        *,
        embedding: int = 16,
        hidden: tuple[int, ...] = (128, 64),
        history: int = 20,
        user_id: bool = False,
    ) -> None:
        super().__init__(schema)
        check_sizes(embedding=embedding, hidden=hidden, history=history)
        self.history_length = history
        self.size = embedding
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        pairs = math.comb((self.user.width + 2 * self.item.width) // embedding, 2)
        self.deep = MLP(2 * self.item.width + pairs, *hidden, 1, constant=self.user.width)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        user, item, history = self.user(batch.user), self.item(batch.item), self.item(batch.mean_click)
        x = torch.cat([item, history, inner_products(self.size, user, item, history)], dim=-1)
        logits: Tensor = self.deep(x, user).squeeze(-1)
        return logits
