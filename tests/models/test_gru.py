import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from fedctr.models.descent import Descent
from fedctr.models.gru import GRU

USERS, LENGTH, SAMPLES, INPUTS, SIZE = 3, 4, 5, 2, 3


@pytest.fixture
def unit() -> GRU:
    torch.manual_seed(0)
    return GRU(INPUTS, SIZE).double()


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def states_of(unit: GRU, x: Tensor, shares: Tensor) -> Tensor:
    """States of inputs (users, length, samples, inputs)."""
    states: Tensor = unit(unit.read(x.flatten(1, 2)).unflatten(1, x.shape[1:3]), shares)
    return states


def test_where_every_place_counts_it_is_the_unit_of_pytorch(unit: GRU) -> None:
    """Which keeps what is new by one less the update, so that gate has the opposite sign."""
    theirs, x = torch.nn.GRU(INPUTS, SIZE, batch_first=True).double(), drawn(USERS, LENGTH, SAMPLES, INPUTS)
    sign = torch.tensor([1.0] * SIZE + [-1.0] * SIZE + [1.0] * SIZE, dtype=torch.float64)
    state = {name: torch.randn_like(value) for name, value in unit.state_dict().items()}
    unit.load_state_dict(state)
    theirs.load_state_dict(
        {
            "weight_ih_l0": state["read.weight"] * sign[:, None],
            "weight_hh_l0": torch.cat([state["gate.weight"], state["renew.weight"]]) * sign[:, None],
            "bias_ih_l0": state["read.bias"] * sign,
            "bias_hh_l0": torch.zeros_like(sign),
        }
    )
    expected, _ = theirs(x.transpose(1, 2).flatten(0, 1))
    found = states_of(unit, x, torch.ones(USERS, LENGTH, SAMPLES, dtype=torch.float64))
    torch.testing.assert_close(found.transpose(1, 2).flatten(0, 1), expected)


def test_a_place_that_counts_for_nothing_leaves_the_state(unit: GRU) -> None:
    shares = torch.ones(USERS, LENGTH, SAMPLES, dtype=torch.float64)
    shares[:, 0] = shares[:, 2] = 0
    states = states_of(unit, drawn(USERS, LENGTH, SAMPLES, INPUTS), shares)
    assert not states[:, 0].any()
    assert states[:, 1].all()
    assert torch.equal(states[:, 2], states[:, 1])
    assert not torch.isclose(states[:, 3], states[:, 2]).any()


def stacked(unit: GRU) -> dict[str, Tensor]:
    """Weights on the state of their own for every user."""
    return {name: drawn(USERS, *unit.get_parameter(name).shape) for name in ("gate.weight", "renew.weight")}


def test_its_gradients_are_right(unit: GRU) -> None:
    inputs, own = (drawn(USERS, LENGTH, SAMPLES, 3 * SIZE), drawn(USERS, LENGTH, SAMPLES)), stacked(unit)

    def states(read: Tensor, shares: Tensor, *weights: Tensor) -> Tensor:
        found: Tensor = functional_call(unit, dict(zip(own, weights, strict=False)), (read, shares))
        return found

    assert torch.autograd.gradcheck(states, (*inputs, *own.values()), fast_mode=True)
    assert torch.autograd.gradcheck(states, inputs, fast_mode=True)


@pytest.mark.parametrize("times", [1, 2])
def test_in_a_descent_it_moves_weights_that_are_used_once(times: int, unit: GRU) -> None:
    inputs, start = (drawn(USERS, LENGTH, SAMPLES, 3 * SIZE), drawn(USERS, LENGTH, SAMPLES)), stacked(unit)
    moved = {name: value.detach().clone().requires_grad_() for name, value in start.items()}

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return torch.stack([functional_call(unit, weights, inputs) for _ in range(times)]).square().sum()

    gradients = torch.autograd.grad(loss(start), list(start.values()))
    with Descent(0.1):
        total = loss(moved)
    total.backward()
    for (name, value), gradient in zip(moved.items(), gradients, strict=True):
        assert (value.grad is None) == (times == 1)
        found = value.detach() if value.grad is None else value.detach() - 0.1 * value.grad
        torch.testing.assert_close(found, start[name].detach() - 0.1 * gradient)
