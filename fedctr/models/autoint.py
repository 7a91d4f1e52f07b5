"""AutoInt: fields attend to one another, so that their interactions of any order are learnt."""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from fedctr.data.dataset import Schema
from fedctr.models.attention import attend_fields
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embeddings, Linear, check_sizes
from fedctr.models.model import Model


class AutoInt(Model):
    """Multi-head self-attention over the fields of user, item and mean history, with residual connections.

    Query, key, value and residual of a layer come from one matrix product. Inner products of query and key are not
    scaled (equation 5 of the paper); the MLP beside it, which makes AutoInt+, is left out.

    Args:
        schema: the fields.
        embedding: size of a field's embedding.
        layers: number of attention layers.
        heads: heads of each layer.
        head: size of what a head gives.
        history: how many earlier clicks are averaged.
        user_id: whether the user's own id is a feature.
    """

    name: ClassVar[str] = "autoint"
    citation: ClassVar[str] = "Song et al., AutoInt, CIKM 2019, arXiv 1810.11921"

    def __init__(
        self,
        schema: Schema,
        *,
        embedding: int = 16,
        layers: int = 2,
        heads: int = 2,
        head: int = 8,
        history: int = 20,
        user_id: bool = False,
    ) -> None:
        super().__init__(schema)
        check_sizes(embedding=embedding, layers=layers, heads=heads, head=head, history=history)
        self.history_length = history
        self.heads = heads
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        self.fields = (self.user.width + 2 * self.item.width) // embedding
        inputs = [embedding, *[heads * head] * (layers - 1)]
        self.layers = nn.ModuleList(Linear(size, 4 * heads * head, bias=False, parts=4) for size in inputs)
        self.deep = MLP(self.fields * heads * head, 1)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        constant: Tensor | None = self.user(batch.user)
        x = torch.cat([self.item(batch.item), self.item(batch.mean_click)], dim=-1)
        for layer in self.layers:
            x = attend_fields(x, self.fields, self.heads, cast(Linear, layer), constant)
            constant = None
        logits: Tensor = self.deep(x).squeeze(-1)
        return logits
