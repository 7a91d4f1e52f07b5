import pytest

from fedctr.errors import FedctrError
from fedctr.strategy import strategies, trainable_of
from strategies.head_only import HeadOnly
from tests.engine import publish, world

SCHEMA = world([1]).schema


def chosen(model: str, layers: int = 1) -> list[str]:
    return trainable_of(HeadOnly(layers), dict(publish(model, SCHEMA).model.named_parameters()))


@pytest.mark.parametrize("model", ["ncf[hidden=[8,4]]", "wide-deep[hidden=[8,4]]", "din[hidden=[8,4]]"])
def test_the_head_is_the_last_layers_of_the_deep_network(model: str) -> None:
    head = ["deep.layers.2.weight", "deep.layers.2.bias"]
    assert chosen(model) == head
    assert chosen(model, 2) == ["deep.layers.1.weight", "deep.layers.1.bias", *head]
    whole = set(chosen(model, 3))
    assert whole == {f"deep.layers.{layer}.{leaf}" for layer in range(3) for leaf in ("weight", "bias")} | {
        "deep.constant.weight"
    }


def test_a_model_without_a_deep_network_has_no_head() -> None:
    with pytest.raises(ValueError, match=r"the model has no deep network; its parameters are bias, user\.tables"):
        chosen("lr")


def test_there_are_no_more_layers_than_there_are() -> None:
    with pytest.raises(ValueError, match="the model's deep network has 3 layers, fewer than 4"):
        chosen("din[hidden=[8,4]]", 4)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "true", "all"])
def test_a_number_of_layers_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(FedctrError, match=r"layers .* must be a whole number of at least 1"):
        strategies.create(f"head-only[layers={value}]")
