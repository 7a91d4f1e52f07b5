from itertools import islice

import pytest
import torch

from fedctr import loop
from fedctr.recipe import Recipe
from fedctr.strategy import trainable_of
from strategies.scale_only import ScaleOnly
from tests.engine import features_of, publish, world


def test_weight_and_gradient_by_hand() -> None:
    adapter = ScaleOnly().adapter("layer.weight", torch.zeros(2, 3), seed=0)
    assert adapter.start["scale"].tolist() == [1, 1, 1]
    origin = torch.tensor([[1.0, 2, 3], [4, 5, 6]]).expand(2, -1, -1)
    scale = torch.tensor([[1.0, 1, 1], [2, 0, -1]], requires_grad=True)
    weight = adapter.weight(origin, {"scale": scale})
    assert weight.tolist() == [[[1, 2, 3], [4, 5, 6]], [[2, 0, -3], [8, 0, -6]]]
    of_weight = torch.tensor([[[1.0, 0, 1], [1, 0, 0]], [[0.0, 1, 0], [0, 1, -1]]])
    (of_scale,) = torch.autograd.grad(weight, scale, of_weight)
    assert of_scale.tolist() == [[1 + 4, 0, 3], [0, 2 + 5, -6]]


def test_a_hidden_units_scale_multiplies_its_activation() -> None:
    """The paper's feed-forward layers, ``W2 (l * relu(W1 x))``, of two hidden units with scales 2 and -1."""
    generator = torch.Generator().manual_seed(0)
    x, first, last = (torch.randn(shape, generator=generator) for shape in ((5, 3), (2, 3), (4, 2)))
    scale, hidden = torch.tensor([[2.0, -1.0]]), (x @ first.T).relu()
    weight = ScaleOnly().adapter("layer.weight", last, seed=0).weight(last.unsqueeze(0), {"scale": scale})[0]
    torch.testing.assert_close(hidden @ weight.T, (scale * hidden) @ last.T)


def test_columns_of_dense_layers_are_scaled_and_nothing_else_changes() -> None:
    features = features_of([40], [5])
    published = publish("din[hidden=[8,4],history=5]", features.dataset.schema)
    before = {name: value.detach() for name, value in published.model.named_parameters()}
    model = next(islice(loop.fine_tune(published, ScaleOnly(), features, 0, Recipe(0, 0.3, 2)), 1, None))
    moved = {name: value.detach() for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert "deep.layers.1.weight" in moved
    assert all(name.endswith(".weight") and "tables" not in name for name in moved)
    for name, value in moved.items():
        scales = value / before[name]
        torch.testing.assert_close(scales, scales[:1].expand_as(scales), rtol=1e-3, atol=1e-3)


def test_a_model_without_dense_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="the model has no dense layers; its parameters are bias, "):
        trainable_of(ScaleOnly(), dict(publish("fm", world([1]).schema).model.named_parameters()))
