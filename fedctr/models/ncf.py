"""Neural collaborative filtering: an MLP on the embeddings of the user's and the item's id."""

from typing import ClassVar

from torch import Tensor

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embeddings, check_sizes
from fedctr.models.model import Model


class NCF(Model):
    """The MLP of neural collaborative filtering (section 3.3 of the paper): it knows ids and nothing else.

    Args:
        schema: the fields.
        embedding: size of an id's embedding.
        hidden: widths of the MLP's hidden layers.
    """

    name: ClassVar[str] = "ncf"
    citation: ClassVar[str] = "He et al., Neural Collaborative Filtering, WWW 2017, arXiv 1708.05031"

    def __init__(self, schema: Schema, *, embedding: int = 16, hidden: tuple[int, ...] = (128, 64)) -> None:
        super().__init__(schema)
        check_sizes(embedding=embedding, hidden=hidden)
        self.user = Embeddings("user", schema.user_fields[:1], embedding)
        self.item = Embeddings("item", schema.item_fields[:1], embedding)
        self.deep = MLP(self.item.width, *hidden, 1, constant=self.user.width)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (users, samples)."""
        logits: Tensor = self.deep(self.item(batch.item), self.user(batch.user)).squeeze(-1)
        return logits
