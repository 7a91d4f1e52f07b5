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
            "weight_hh_l0": state["recall.weight"] * sign[:, None],
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


def test_its_gradients_are_right(unit: GRU) -> None:
    inputs = drawn(USERS, LENGTH, SAMPLES, 3 * SIZE), drawn(USERS, LENGTH, SAMPLES)
    weight = drawn(USERS, 3 * SIZE, SIZE)

    def stacked(read: Tensor, shares: Tensor, own: Tensor) -> Tensor:
        states: Tensor = functional_call(unit, {"recall.weight": own}, (read, shares))
        return states

    assert torch.autograd.gradcheck(stacked, (*inputs, weight))
    assert torch.autograd.gradcheck(lambda read, shares: unit(read, shares), inputs)


@pytest.mark.parametrize("times", [1, 2])
def test_in_a_descent_it_moves_a_weight_that_is_used_once(times: int, unit: GRU) -> None:
    read, shares = drawn(USERS, LENGTH, SAMPLES, 3 * SIZE), drawn(USERS, LENGTH, SAMPLES)
    start, moved = (torch.full((USERS, 3 * SIZE, SIZE), 0.5, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def loss(weight: Tensor) -> Tensor:
        used = [functional_call(unit, {"recall.weight": weight}, (read, shares)) for _ in range(times)]
        return torch.stack(used).square().sum()

    (gradient,) = torch.autograd.grad(loss(start), start)
    with Descent(0.1):
        total = loss(moved)
    total.backward()
    assert (moved.grad is None) == (times == 1)
    found = moved.detach() if moved.grad is None else moved.detach() - 0.1 * moved.grad
    torch.testing.assert_close(found, start.detach() - 0.1 * gradient)
