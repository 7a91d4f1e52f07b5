"""The contract that every click model meets."""

from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from typing import ClassVar, cast

from torch import Tensor, nn

from fedctr.data.dataset import Schema
from fedctr.models.batch import Batch
from fedctr.models.layers import MLP, Embedding, Side
from fedctr.registry import Registry


class Model(nn.Module, ABC):
    """A click model: :class:`Batch` in, logits (users, samples) out.

    A model is built from the layers of :mod:`fedctr.models.layers`. Their parameters may be swapped for ones with
    a leading user axis, so the code that trains one model in the cloud also tunes a hundred private copies at once.
    ``forward`` must therefore treat users independently: no batch statistics. The user may have a single place for
    all samples: ``expand`` it to them, or give it to an ``MLP`` as its constant.

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

    @cached_property
    def embeddings(self) -> dict[str, Embedding]:
        """All embedding tables by the names of their parameters."""
        return {f"{name}.weight": module for name, module in self.named_modules() if isinstance(module, Embedding)}

    @property
    def reads(self) -> set[tuple[Side, str]]:
        """The sides and names of the fields that the model has tables for."""
        return {(table.side, table.field) for table in self.embeddings.values()}

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Logits of the click probability, float32 (users, samples)."""

    @property
    def represents(self) -> bool:
        """Whether the model has a penultimate layer."""
        return isinstance(getattr(self, "deep", None), MLP) or type(self).represent is not Model.represent

    def represent(self, batch: Batch) -> Tensor:
        """The penultimate layer, float32 (users, samples, width): what the last one of ``deep`` reads.

        ``deep`` is the :class:`MLP` that ends every model that has one. A model whose last layers have another name
        overrides this.
        """
        deep, inputs = cast(MLP, self.deep), list[tuple[Tensor, ...]]()

        def stop(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            inputs.append(given)
            raise _Reached

        with deep.register_forward_pre_hook(stop), suppress(_Reached):
            self(batch)
        return deep.hidden(*inputs[0])


class _Reached(Exception):  # noqa: N818
    """What the last network reads is known, so that the forward pass need not go on."""


models: Registry[Model] = Registry("model", "fedctr.models", "fedctr.models", Model)  # type: ignore[type-abstract]
