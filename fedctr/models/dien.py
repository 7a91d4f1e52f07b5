"""Deep Interest Evolution Network: how the user's interest in the candidate item evolved over earlier clicks."""

from typing import ClassVar

import torch
from torch import Tensor

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.gru import GRU, follow_interest
from fedctr.models.layers import MLP, Embeddings, Linear, check_sizes
from fedctr.models.model import Model


class DIEN(Model):
    """Deep Interest Evolution Network: an MLP on user, item and the last state of an attentive recurrent network.

    A first GRU reads the clicks, oldest first, and makes an interest of each; a second one reads the interests and
    updates its state the less, the less an interest has to do with the item (AUGRU). Attention is the softmax of
    ``h' W e`` over interests ``h`` for an item ``e`` (equation 8 of the paper).

    The auxiliary loss, which tells each next click from a drawn negative, is left out: a model gives logits, and
    its loss is the strategy's business. ReLU stands for Dice, whose batch statistics would mix users.

    Args:
        schema: the fields.
        embedding: size of a field's embedding.
        hidden: widths of the MLP's hidden layers.
        history: how many earlier clicks are read.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "dien"
    citation: ClassVar[str] = "Zhou et al., Deep Interest Evolution Network, AAAI 2019, arXiv 1809.03672"

    def __init__(
        self,
        schema: Schema,
        *,
        embedding: int = 8,
        hidden: tuple[int, ...] = (32, 16),
        history: int = 20,
        user_id: bool = False,
    ) -> None:
        super().__init__(schema)
        check_sizes(embedding=embedding, hidden=hidden, history=history)
        self.history_length = history
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        size = self.item.width
        self.extract, self.evolve = GRU(size, size), GRU(size, size)
        self.attend = Linear(size, size, bias=False)
        self.deep = MLP(2 * size, *hidden, 1, constant=self.user.width)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        item, clicks = self.item(batch.item), self.item(batch.clicks)
        interest = follow_interest(item, clicks, batch.history, self.extract, self.attend, self.evolve)
        logits: Tensor = self.deep(torch.cat([item, interest], dim=-1), self.user(batch.user)).squeeze(-1)
        return logits
