"""Deep & Cross Network V2: layers that multiply the input with itself, beside an MLP."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embeddings, Linear, beside, check_sizes
from fedctr.models.model import Model


class DCNV2(Model):
    """Deep & Cross Network V2 on the fields of user, item and mean history, cross and deep network in parallel.

    A cross layer makes ``x0 * (W x + b) + x`` of ``x``, with a full matrix ``W``; the first one reads ``x0``, all
    embeddings side by side (equation 1 of the paper), of which what is the user's is computed once. The logit is one
    linear layer on what both networks give.

    Args:
        schema: the fields.
        embedding: size of a field's embedding.
        cross: number of cross layers.
        hidden: widths of the MLP's hidden layers.
        history: how many earlier clicks are averaged.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "dcn-v2"
    citation: ClassVar[str] = "Wang et al., DCN V2, WWW 2021, arXiv 2008.13535"

    def __init__(
        self,
        schema: Schema,
        *,
        embedding: int = 8,
        cross: int = 2,
        hidden: tuple[int, ...] = (128, 64),
        history: int = 20,
        user_id: bool = False,
    ) -> None:
        super().__init__(schema)
        check_sizes(embedding=embedding, cross=cross, hidden=hidden, history=history)
        self.history_length = history
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        width = self.user.width + 2 * self.item.width
        first = MLP(2 * self.item.width, width, constant=self.user.width)
        self.cross = nn.ModuleList([first, *(Linear(width, width) for _ in range(cross - 1))])
        self.crossed = Linear(width, 1, bias=False)
        self.deep = MLP(2 * self.item.width, *hidden, 1, constant=self.user.width)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        user = self.user(batch.user)
        shown = torch.cat([self.item(batch.item), self.item(batch.mean_click)], dim=-1)
        start = beside(user, shown)
        first, *others = self.cross
        x = torch.addcmul(start, start, first(shown, user))
        for layer in others:
            x = torch.addcmul(x, start, layer(x))
        logits: Tensor = (self.crossed(x) + self.deep(shown, user)).squeeze(-1)
        return logits
