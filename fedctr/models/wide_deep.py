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
        self.size = embedding + 1
        # The last number of an embedding is the value's weight in the wide part.
        self.user = Embeddings("user", schema.user_fields, embedding + 1, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding + 1)
        users, items = (len(tables.tables) * embedding for tables in (self.user, self.item))
        self.deep = MLP(2 * items, *hidden, 1, constant=users)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        (user, wide_user), (item, wide_item), (history, _) = (
            self._split(tables(coded))
            for tables, coded in ((self.user, batch.user), (self.item, batch.item), (self.item, batch.mean_click))
        )
        deep = self.deep(torch.cat([item, history], dim=-1), user).squeeze(-1)
        logits: Tensor = wide_user + wide_item + deep
        return logits

    def _split(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The embeddings of all fields side by side, and the sum of their weights in the wide part."""
        fields = vectors.unflatten(2, (-1, self.size))
        return fields[..., :-1].flatten(2), fields[..., -1].sum(2)
