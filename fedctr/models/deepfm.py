"""DeepFM: a factorisation machine beside an MLP that reads the same embeddings."""

from typing import ClassVar

import torch
from torch import Tensor

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embeddings, check_sizes, second_order
from fedctr.models.model import Model


class DeepFM(Model):
    """DeepFM: first-order weights, all pairs of fields and an MLP, on the fields of user, item and mean history.

    The history has no first-order weights.

    Args:
        schema: the fields.
        embedding: size of a field's embedding.
        hidden: widths of the MLP's hidden layers.
        history: how many earlier clicks are averaged.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "deepfm"
    citation: ClassVar[str] = "Guo et al., DeepFM, IJCAI 2017, arXiv 1703.04247"

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
        self.first_user = Embeddings("user", schema.user_fields, 1, identity=user_id)
        self.first_item = Embeddings("item", schema.item_fields, 1)
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        self.deep = MLP(2 * self.item.width, *hidden, 1, constant=self.user.width)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        user = self.user(batch.user)
        shown = torch.cat([self.item(batch.item), self.item(batch.mean_click)], dim=-1)
        first = self.first_user(batch.user).sum(-1) + self.first_item(batch.item).sum(-1)
        logits: Tensor = first + second_order(self.size, user, shown) + self.deep(shown, user).squeeze(-1)
        return logits
