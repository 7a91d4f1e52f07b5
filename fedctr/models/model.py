"""The contract that every click model meets."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from fedctr.data.dataset import Schema
from fedctr.registry import Registry


@dataclass(frozen=True)
class Batch:
    """Coded features of some samples of some users.

    Each distinct item is described once and referred to by its row, so that a model embeds it once. Code 0 and row 0
    stand for "nothing here" throughout.

    Attributes:
        user: int32 (users, samples or 1, user columns); 1 where all samples belong to the axis's own user.
        items: int32 (users, items, item columns), the distinct items; row 0 is all zeros.
        item: int64 (users, samples), the row of ``items`` that was shown.
        clicks: int64 (users, clicks), rows of ``items`` that histories are made of; the first is row 0.
        history: int64 (users, samples, length), places in ``clicks`` of what the user had clicked strictly before the
            sample, latest first, then zeros.
    """

    user: Tensor
    items: Tensor
    item: Tensor
    clicks: Tensor
    history: Tensor


class Model(nn.Module, ABC):
    """A click model: :class:`Batch` in, logits (users, samples) out.

    A model is built from the layers of :mod:`fedctr.models.layers`. Their parameters may be swapped for ones with
    a leading user axis (``torch.func.functional_call``), so the code that trains one model in the cloud also tunes
    thirty private copies at once. ``forward`` must therefore treat users independently: no batch statistics. And how
    many rows ``Batch.items`` has depends on who shares a cohort: embed them and ``pick`` before any other layer, or
    else results differ in the last bit from cohort to cohort. The same goes for the user's single row: ``expand`` it
    to the samples first.

    A subclass is constructed with the schema, then its options by keyword.

    Attributes:
        name: what people type.
        citation: where the model was published.
        history_length: how many earlier clicks the model reads.
    """

    name: ClassVar[str]
    citation: ClassVar[str] = ""
    history_length: int = 0

    @abstractmethod
    def __init__(self, schema: Schema) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Logits of the click probability, float32 (users, samples)."""


models: Registry[Model] = Registry("model", "fedctr.models", "fedctr.models", Model)  # type: ignore[type-abstract]
