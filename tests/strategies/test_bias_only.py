import numpy as np
import pytest

from fedctr.strategy import trainable_of
from strategies.bias_only import BiasOnly
from strategies.no_fine_tuning import NoFineTuning
from tests.engine import features_of, publish, rows, task, world

MODELS = {
    "lr": "bias",
    "ncf[hidden=[8]]": "deep.layers.1.bias",
    "wide-deep[hidden=[8,4],history=5]": "deep.layers.2.bias",
    "din[hidden=[8,4],history=5]": "deep.layers.2.bias",
}


@pytest.mark.parametrize(("model", "bias"), MODELS.items())
def test_it_is_the_output_bias(model: str, bias: str) -> None:
    assert trainable_of(BiasOnly(), dict(publish(model, world([1]).schema).model.named_parameters())) == [bias]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("model", MODELS)
def test_it_moves_the_prior_and_no_ranking(model: str) -> None:
    features = features_of([40, 12, 33], [30, 20, 25])
    published = publish(model, features.dataset.schema)
    before = rows(published, NoFineTuning(), features, task())
    after = rows(published, BiasOnly(), features, task(rates=(1.0,), epochs=(3,)))
    np.testing.assert_array_equal(after["auc"], before["auc"])
    assert (np.abs(after["predicted_clicks"] - before["predicted_clicks"]) > 0.1).all()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (["item.weight"], "the model has no deep network; its parameters are item.weight"),
        (["deep.layers.0.bias", "deep.layers.1.weight"], "the last layer of the model's deep network has no bias"),
    ],
)
def test_a_model_without_an_output_bias_is_refused(parameters: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trainable_of(BiasOnly(), parameters)
