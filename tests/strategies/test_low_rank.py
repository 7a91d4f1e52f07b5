from itertools import islice

import numpy as np
import pytest
import torch

from fedctr import loop
from fedctr.adapter import Adapter
from fedctr.composition import strategy_of
from fedctr.errors import FedctrError
from fedctr.recipe import Recipe
from fedctr.scoring import check_model
from fedctr.strategy import strategies
from strategies.low_rank import LowRank
from tests.engine import features_of, publish, world

SCHEMA = world([1]).schema
WEIGHT = torch.zeros(3, 4)


def adapted(name: str = "layer.weight", seed: int = 1) -> Adapter:
    adapter = LowRank(2).adapter(name, WEIGHT, seed)
    assert adapter is not None
    return adapter


def test_weight_and_gradients_by_hand() -> None:
    adapter = LowRank(1).adapter("layer.weight", torch.zeros(2, 3), seed=0)
    assert adapter is not None
    origin = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]).expand(2, -1, -1)
    b = torch.tensor([[[1.0], [2.0]], [[0.0], [0.0]]], requires_grad=True)
    a = torch.tensor([[[1.0, 0, -1]], [[3.0, 2, 1]]], requires_grad=True)
    weight = adapter.weight(origin, {"B": b, "A": a})
    assert weight.tolist() == [[[2, 0, -1], [2, 1, -2]], [[1, 0, 0], [0, 1, 0]]]
    of_weight = torch.tensor([[[1.0, 2, 3], [4, 5, 6]], [[1.0, 1, 1], [0, 1, 0]]])
    of_b, of_a = torch.autograd.grad(weight, [b, a], of_weight)
    assert of_b.tolist() == [[[1 - 3], [4 - 6]], [[3 + 2 + 1], [2]]]  # G A'
    assert of_a.tolist() == [[[1 + 8, 2 + 10, 3 + 12]], [[0, 0, 0]]]  # B' G: a step begins with B alone


def test_it_begins_with_the_published_weight_and_one_matrix_for_all_devices() -> None:
    adapter, again = adapted(), adapted()
    assert {part: tuple(value.shape) for part, value in adapter.start.items()} == {"B": (3, 2), "A": (2, 4)}
    assert not adapter.start["B"].any()
    assert torch.equal(adapter.start["A"], again.start["A"])
    for other in (adapted(seed=2), adapted(name="other.weight")):
        assert not torch.isclose(adapter.start["A"], other.start["A"]).any()


def test_the_mean_of_a_first_step_is_that_of_plain_fine_tuning() -> None:
    """It is ``-r G A' A``, and the mean of ``A' A`` is the identity."""
    found = []
    for seed in range(400):
        a = adapted(seed=seed).start["A"]
        found.append(a.T @ a)
    torch.testing.assert_close(torch.stack(found).mean(0), torch.eye(4), rtol=0, atol=0.2)  # standard error 0.05


def test_a_weight_of_no_higher_rank_is_tuned_itself() -> None:
    assert LowRank(3).adapter("layer.weight", WEIGHT, seed=0) is None
    assert LowRank(1).adapter("layer.weight", torch.zeros(1, 4), seed=0) is None


def test_weights_of_dense_layers_change_by_low_rank_and_nothing_else_changes() -> None:
    features = features_of([40], [5])
    published = publish("wide-deep[hidden=[8,4],history=5]", features.dataset.schema)
    before = {name: value.detach() for name, value in published.model.named_parameters()}
    model = next(islice(loop.fine_tune(published, LowRank(2), features, 0, Recipe(0, 0.3, 2)), 1, None))
    changes = {name: (value.detach() - before[name]).numpy() for name, value in model.named_parameters()}
    ranks = {name: np.linalg.matrix_rank(change, tol=1e-5) for name, change in changes.items() if change.any()}
    assert ranks == {
        "deep.layers.0.weight": 2,
        "deep.layers.1.weight": 2,
        "deep.layers.2.weight": 1,
        "deep.constant.weight": ranks["deep.constant.weight"],
    }


@pytest.mark.parametrize(
    ("spec", "model", "message"),
    [
        ("low-rank", "lr", r"the model has no dense layers; its parameters are bias, user\.tables"),
        ("low-rank[rank=8]", "din[hidden=[8,4],attention=4]", "adapter has nothing to put in the place of attend_item"),
        ("low-rank+head-only", "din", r"adapter has nothing to put in the place of deep\.layers\.2\.weight$"),
        ("low-rank+embeddings-only", "din", "embeddings-only and low-rank have no parameter in common"),
        ("low-rank+bias-only", "din", "bias-only and low-rank have no parameter in common"),
    ],
)
def test_a_model_or_companion_that_leaves_nothing_to_adapt_is_refused(spec: str, model: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_model(strategy_of(spec), publish(model, SCHEMA).model)


@pytest.mark.parametrize("value", ["0", "1.5", "all"])
def test_a_rank_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(FedctrError, match=r"rank .* must be a whole number of at least 1"):
        strategies.create(f"low-rank[rank={value}]")
