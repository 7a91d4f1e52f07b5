from typing import ClassVar

import pytest
import torch
from torch import Tensor

from fedctr.adapter import Adapter
from fedctr.stacking import aligned
from fedctr.strategy import ClientStrategy
from fedctr.tuning import Tuning, check_tuning

PUBLISHED = {"weight": torch.ones(2, 3), "bias": torch.zeros(3)}
ORIGIN = {name: value.expand(2, *value.shape) for name, value in PUBLISHED.items()}


class Shifted(ClientStrategy):
    """One number is added to the whole weight, and the bias is tuned itself."""

    name: ClassVar[str] = "shifted"

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter | None:
        if name == "bias":
            return None
        start = {"shift": torch.tensor(float(seed))}
        return Adapter(start, lambda origin, tuned: origin + tuned["shift"][:, None, None])


class Plain(ClientStrategy):
    """Adapts nothing."""

    name: ClassVar[str] = "plain"


def test_without_adapters_the_parameters_themselves_are_tuned() -> None:
    tuning = Tuning.of(Plain(), PUBLISHED, seed=0)
    tuned = tuning.begin(ORIGIN)
    assert tuning.weights(tuned, ORIGIN) == tuned  # the same tensors
    assert all(torch.equal(tuned[name], ORIGIN[name]) for name in PUBLISHED)


def test_what_an_adapter_begins_with_is_tuned_in_the_place_of_its_weight_for_each_user_alone() -> None:
    tuning = Tuning.of(Shifted(), PUBLISHED, seed=4)
    tuned = tuning.begin(ORIGIN)
    assert {name: value.tolist() for name, value in tuned.items()} == {
        "bias": [[0, 0, 0], [0, 0, 0]],
        "weight:shift": [4, 4],
    }
    tuned["weight:shift"][1] = -1
    weights = tuning.weights(tuned, ORIGIN)
    assert weights["weight"].tolist() == [[[5, 5, 5], [5, 5, 5]], [[0, 0, 0], [0, 0, 0]]]
    assert weights["bias"] is tuned["bias"]


def test_users_weights_are_aligned_and_gradients_go_through() -> None:
    value = torch.arange(6.0).view(2, 3).requires_grad_()
    copy = aligned(value)
    assert torch.equal(copy, value)
    assert copy.stride(0) * copy.element_size() % 64 == 0
    (gradient,) = torch.autograd.grad((copy * torch.tensor([[1.0], [2.0]])).sum(), value)
    assert gradient.tolist() == [[1, 1, 1], [2, 2, 2]]


def test_a_weight_of_another_shape_is_refused() -> None:
    class Wide(Shifted):
        def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter:
            return Adapter({"unused": torch.zeros(())}, lambda origin, tuned: origin[..., :1])

    tuning = Tuning.of(Wide(), PUBLISHED, seed=0)
    with pytest.raises(ValueError, match=r"adapter of weight made shape \(2, 2, 1\), expected \(2, 2, 3\)"):
        tuning.weights(tuning.begin(ORIGIN), ORIGIN)


def test_a_strategy_that_adapts_must_find_something_to_adapt() -> None:
    with pytest.raises(ValueError, match="adapter has nothing to put in the place of bias"):
        check_tuning(Shifted(), {"bias": PUBLISHED["bias"]})


class Still(ClientStrategy):
    """Puts what cannot be tuned in the place of everything."""

    name: ClassVar[str] = "still"

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter:
        return Adapter({}, lambda origin, tuned: origin)


def test_adapters_must_leave_something_to_tune() -> None:
    with pytest.raises(ValueError, match="adapter returned nothing to tune for any parameter"):
        Tuning.of(Still(), PUBLISHED, seed=0)
