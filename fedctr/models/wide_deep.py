"""Wide & Deep: a linear part that memorises beside a deep part that generalises."""

from typing import ClassVar

import torch
from torch import Tensor

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embeddings, check_sizes
from fedctr.models.model import Model


class WideDeep(Model):
    """Wide & Deep: first-order weights plus an MLP on the embeddings of user, item and mean history.

    The paper's hand-made cross products belong to its own app store and are left out.

    Args:
        schema: the fields.
        embedding: size of a field's embedding.
        hidden: widths of the MLP's hidden layers.
        history: how many earlier clicks are averaged.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "wide-deep"
    citation: ClassVar[str] = "Cheng et al., Wide & Deep Learning for Recommender Systems, DLRS 2016, arXiv 1606.07792"

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
        self.wide_user = Embeddings("user", schema.user_fields, 1, identity=user_id)
        self.wide_item = Embeddings("item", schema.item_fields, 1)
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        self.deep = MLP(2 * self.item.width, *hidden, 1, constant=self.user.width)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        item, history = self.item(batch.item), self.item(batch.mean_click)
        deep = self.deep(torch.cat([item, history], dim=-1), self.user(batch.user)).squeeze(-1)
        logits: Tensor = self.wide_user(batch.user).sum(-1) + self.wide_item(batch.item).sum(-1) + deep
        return logits
