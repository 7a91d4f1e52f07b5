import pytest

from fedctr.models.model import models
from fedctr.strategy import trainable_of
from strategies.embeddings_only import EmbeddingsOnly
from tests.engine import publish, world


@pytest.mark.parametrize("model", models.classes())
def test_all_tables_are_chosen_and_nothing_else(model: str) -> None:
    published = publish(model, world([1]).schema).model
    chosen = trainable_of(EmbeddingsOnly(), dict(published.named_parameters()))
    assert sorted(chosen) == sorted(published.embeddings)


def test_a_model_without_tables_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the model has no embedding tables; its parameters are bias, tables_of\.w"):
        trainable_of(EmbeddingsOnly(), ["bias", "tables_of.weight"])
