"""Deep Interest Network: attention from the candidate item to the user's earlier clicks."""

from typing import ClassVar

import torch
from torch import Tensor

from fedctr.data.dataset import Schema
from fedctr.models.attention import attend
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embeddings, Linear, check_sizes
from fedctr.models.model import Model


class DIN(Model):
    """Deep Interest Network: an MLP on user, item and the history weighted by its relevance to the item.

    The attention of an item to a click comes from an MLP on item, click and their product. The weights are not
    normalised, so that their sum tells how strong the interest is (section 4.3 of the paper). ReLU stands for the
    paper's Dice, whose batch statistics would mix users.

    Args:
        schema: the fields.
        embedding: size of a field's embedding.
        hidden: widths of the MLP's hidden layers.
        attention: width of the attention MLP's hidden layer.
        history: how many earlier clicks are attended to.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "din"
    citation: ClassVar[str] = "Zhou et al., Deep Interest Network for CTR Prediction, KDD 2018, arXiv 1706.06978"

    def __init__(
        self,
        schema: Schema,
        *,
        embedding: int = 8,
        hidden: tuple[int, ...] = (32, 16),
        attention: int = 16,
        history: int = 20,
        user_id: bool = False,
    ) -> None:
        super().__init__(schema)
        check_sizes(embedding=embedding, hidden=hidden, attention=attention, history=history)
        self.history_length = history
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        self.attend_item, self.attend_click, self.attend_product = (
            Linear(self.item.width, attention) for _ in range(3)
        )
        self.attention = Linear(attention, 1)
        self.deep = MLP(2 * self.item.width, *hidden, 1, constant=self.user.width)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        item, clicks = self.item(batch.item), self.item(batch.clicks)
        layers = self.attend_item, self.attend_click, self.attend_product, self.attention
        interest = attend(item, clicks, batch.history, *layers)
        deep = self.deep(torch.cat([item, interest], dim=-1), self.user(batch.user))
        logits: Tensor = deep.squeeze(-1)
        return logits
