import pytest
import torch

from fedctr.errors import FedctrError
from fedctr.strategy import added_penalty, strategies
from strategies.proximal import Proximal


def test_the_pull_is_half_the_weight_times_the_squared_distance_of_each_user() -> None:
    origin = {"a": torch.tensor([[1.0, 1.0], [1.0, 1.0]]), "b": torch.zeros(2, 1, 1)}
    parameters = {
        "a": torch.tensor([[2.0, 3.0], [1.0, 1.0]], requires_grad=True),
        "b": torch.tensor([[[2.0]], [[0.0]]], requires_grad=True),
    }
    penalty = added_penalty(Proximal(0.5), parameters, origin)
    assert penalty is not None
    assert penalty.tolist() == [0.25 * (1 + 4 + 4), 0.0]
    gradients = torch.autograd.grad(penalty.sum(), list(parameters.values()))
    for gradient, (name, value) in zip(gradients, parameters.items(), strict=True):
        torch.testing.assert_close(gradient, 0.5 * (value.detach() - origin[name]))


@pytest.mark.parametrize("value", ["0", "-1", "much", "nan", "inf"])
def test_a_weight_that_is_no_number_above_0_is_refused(value: str) -> None:
    with pytest.raises(FedctrError, match=r"weight .* must be a number above 0"):
        strategies.create(f"proximal[weight={value}]")
