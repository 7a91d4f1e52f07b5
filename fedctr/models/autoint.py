"""AutoInt: fields attend to one another, so that their interactions of any order are learnt."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embeddings, Linear, beside, check_sizes
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
        self.heads, self.head = heads, head
        self.user = Embeddings("user", schema.user_fields, embedding, identity=user_id)
        self.item = Embeddings("item", schema.item_fields, embedding)
        self.fields = (self.user.width + 2 * self.item.width) // embedding
        inputs = [embedding, *[heads * head] * (layers - 1)]
        self.layers = nn.ModuleList(Linear(size, 4 * heads * head, bias=False, parts=4) for size in inputs)
        self.deep = MLP(self.fields * heads * head, 1)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        x = beside(self.user(batch.user), self.item(batch.item), self.item(batch.mean_click))
        users, samples, width = x.shape
        x = x.view(users, samples * self.fields, width // self.fields)
        for layer in self.layers:
            parts = layer(x).view(users * samples, self.fields, 4, self.heads, self.head)
            # One matrix for each sample and head, (fields, head).
            query, key, value = parts[:, :, :3].permute(2, 0, 3, 1, 4).flatten(1, 2).unbind()
            # Softmax takes several times as long over a short last axis, so the keys come before the queries.
            attention = torch.bmm(key, query.transpose(1, 2)).softmax(1).transpose(1, 2)
            seen = torch.bmm(attention, value).unflatten(0, (users * samples, self.heads)).transpose(1, 2)
            x = (parts[:, :, 3] + seen).relu().reshape(users, samples * self.fields, self.heads * self.head)
        logits: Tensor = self.deep(x.unflatten(1, (samples, self.fields)).flatten(2)).squeeze(-1)
        return logits
