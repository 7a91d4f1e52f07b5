"""Fine-tune only the embedding tables: a representation of one's own below a network that all users share.

Think Locally, Act Globally: Federated Learning with Local and Global Representations, Liang et al., 2020,
arXiv 2001.01523.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fedctr.models.layers import embedding_tables
from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class EmbeddingsOnly(ClientStrategy):
    """Fine-tune nothing but the embedding tables, those of a linear part included."""

    name: ClassVar[str] = "embeddings-only"
    citation: ClassVar[str] = "Liang et al., Think Locally, Act Globally, 2020, arXiv 2001.01523"

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        """The tables of both sides."""
        return embedding_tables(parameters)
