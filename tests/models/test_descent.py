"""Look-ups and chains against plain PyTorch, and what becomes of weights in the midst of the backward pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from fedctr.models import descent
from fedctr.models.batch import Bag, Places
from fedctr.models.descent import FEW, Descent, chain, look_up
from tests.engine import aligned

RATE = 0.25
USERS, SAMPLES = 3, 4
F64 = torch.float64


@pytest.fixture(autouse=True)
def reproducible(one_thread: None) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        yield


# ---------------------------------------------------------------------------------------- oracles and places


def one_hot(place: Places, rows: int) -> Tensor:
    """What every row of a table weighs at every place, (users, places, rows)."""
    if isinstance(place, Tensor):
        return torch.nn.functional.pad(place, (0, rows - place.shape[2]))
    weights = torch.ones(place.rows.shape, dtype=F64) if place.weights is None else place.weights
    return (torch.nn.functional.one_hot(place.rows, rows) * weights.unsqueeze(3)).sum(2)


def plain_look_up(places: Sequence[Places], tables: Sequence[Tensor]) -> Tensor:
    """The same by sums over whole tables."""
    return torch.cat(
        [one_hot(place, table.shape[-2]).to(table.dtype) @ table for place, table in zip(places, tables, strict=True)],
        dim=-1,
    )


def plain_chain(x: Tensor, constant: Tensor | None, layers: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """The same user by user."""
    found = []
    for user, y in enumerate(x):
        for index, (weight, bias) in enumerate(layers):
            y = y.clamp(min=0) if index else y
            y = y @ (weight[user] if weight.dim() == 3 else weight).T
            if bias is not None:
                y = y + (bias[user] if bias.dim() == 2 else bias)
            if constant is not None and not index:
                y = y + constant[user]
        found.append(y)
    return torch.stack(found)


def bag(values: int, *, weighted: bool, rows: int = 6, users: int = USERS) -> Bag:
    """Random places, among which some row comes again."""
    return Bag(
        torch.randint(rows, (users, SAMPLES, values)),
        torch.randn(users, SAMPLES, values, dtype=F64) if weighted else None,
    )


PLACES: dict[str, Callable[[], Places]] = {
    "one value": lambda: bag(1, weighted=False),
    "one weighted value": lambda: bag(1, weighted=True),
    "several values": lambda: bag(3, weighted=False),
    "several weighted values": lambda: bag(3, weighted=True),
    "a matrix": lambda: torch.randn(USERS, SAMPLES, 6, dtype=F64),
}


def table(*, stacked: bool, size: int = 2) -> Tensor:
    return torch.randn(*([USERS] if stacked else []), 6, size, dtype=F64).requires_grad_()


each_kind = pytest.mark.parametrize("kind", PLACES)
shared_or_stacked = pytest.mark.parametrize("stacked", [False, True], ids=["shared", "stacked"])


# ------------------------------------------------------------------------------------------------- look_up


def test_look_up_by_hand() -> None:
    first = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    second = torch.tensor([[10.0], [20.0], [30.0]])
    places = Bag(torch.tensor([[[1]], [[0]]]), None)
    weighted = Bag(torch.tensor([[[0, 2]], [[1, 1]]]), torch.tensor([[[0.5, 0.5]], [[1.0, 0.0]]]))
    assert look_up([places, weighted], [first, second]).tolist() == [[[3.0, 4.0, 20.0]], [[5.0, 6.0, 20.0]]]


@each_kind
@shared_or_stacked
def test_a_look_up_is_a_sum_over_the_table(kind: str, stacked: bool) -> None:
    places, weight = PLACES[kind](), table(stacked=stacked)
    torch.testing.assert_close(look_up([places], [weight]), plain_look_up([places], [weight]))


@shared_or_stacked
def test_a_matrix_may_leave_out_the_last_rows_of_a_table(stacked: bool) -> None:
    places, weight = torch.randn(USERS, SAMPLES, 4, dtype=F64), table(stacked=stacked).detach()
    torch.testing.assert_close(look_up([places], [weight]), plain_look_up([places], [weight]))


def test_fields_stand_side_by_side_whatever_their_places_tables_and_sizes() -> None:
    kinds = [(kind, stacked) for kind in PLACES for stacked in (False, True)]
    places = [PLACES[kind]() for kind, _ in kinds]
    tables = [table(stacked=stacked, size=size) for size, (_, stacked) in enumerate(kinds, start=1)]
    torch.testing.assert_close(look_up(places, tables), plain_look_up(places, tables))


@each_kind
@shared_or_stacked
def test_gradients_of_a_look_up_are_autograds(kind: str, stacked: bool) -> None:
    places, weight, other = PLACES[kind](), table(stacked=stacked), table(stacked=not stacked, size=3)
    second = bag(2, weighted=True)
    assert torch.autograd.gradcheck(lambda *both: look_up([places, second], both), (weight, other))

    def gradients(function: Callable[[Sequence[Places], Sequence[Tensor]], Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(function([places, second], [weight, other]).square().sum(), [weight, other])

    for found, expected in zip(gradients(look_up), gradients(plain_look_up), strict=True):
        torch.testing.assert_close(found, expected)


@each_kind
def test_within_a_descent_a_stacked_table_moves_against_its_gradient(kind: str) -> None:
    places, weight = PLACES[kind](), table(stacked=True)
    start = weight.detach().clone()
    (gradient,) = torch.autograd.grad(plain_look_up([places], [weight]).square().sum(), weight)
    with Descent(RATE):
        found = look_up([places], [weight])
    found.square().sum().backward()
    assert gradient.abs().max() > 0.1
    torch.testing.assert_close(weight.detach(), start - RATE * gradient)
    assert weight.grad is None


@each_kind
def test_within_a_descent_a_shared_table_has_an_ordinary_gradient(kind: str) -> None:
    places, weight = PLACES[kind](), table(stacked=False)
    start = weight.detach().clone()
    (gradient,) = torch.autograd.grad(plain_look_up([places], [weight]).square().sum(), weight)
    with Descent(RATE):
        found = look_up([places], [weight])
    found.square().sum().backward()
    assert torch.equal(weight.detach(), start)
    torch.testing.assert_close(weight.grad, gradient)


def test_a_frozen_table_stays_and_those_beside_it_move() -> None:
    places = [bag(1, weighted=False), bag(3, weighted=True), bag(1, weighted=True)]
    tables = [table(stacked=True, size=size) for size in (1, 2, 3)]
    tables[1].requires_grad_(False)
    start = [weight.detach().clone() for weight in tables]
    with Descent(RATE):
        look_up(places, tables).sum().backward()
    assert torch.equal(tables[1], start[1])
    assert all(weight.grad is None for weight in tables)
    for index in (0, 2):
        expected = start[index] - RATE * one_hot(places[index], 6).sum(1).unsqueeze(2)
        torch.testing.assert_close(tables[index].detach(), expected)


def test_a_table_that_is_looked_up_twice_moves_by_both_gradients() -> None:
    weight, first, second = table(stacked=True), bag(1, weighted=False), bag(3, weighted=True)
    start = weight.detach().clone()

    def loss(function: Callable[[Sequence[Places], Sequence[Tensor]], Tensor]) -> Tensor:
        return (function([first], [weight]) * function([second], [weight])).square().sum()

    (gradient,) = torch.autograd.grad(loss(plain_look_up), weight)
    with Descent(RATE):
        found = loss(look_up)
    found.backward()
    torch.testing.assert_close(weight.detach(), start - RATE * gradient)
    assert weight.grad is None


@pytest.mark.parametrize(("rows", "size"), [(1, 5), (16, 5), (7, 16)])
def test_a_table_whose_users_begin_at_aligned_places_moves_too(rows: int, size: int) -> None:
    places = bag(2, weighted=True, rows=rows)
    weight = aligned(torch.randn(USERS, rows, size, dtype=F64)).requires_grad_()
    start = weight.detach().clone()
    with Descent(RATE):
        look_up([places], [weight]).sum().backward()
    torch.testing.assert_close(weight.detach(), start - RATE * one_hot(places, rows).sum(1).unsqueeze(2))


# --------------------------------------------------------------------------------------------------- chain

WIDTHS = {"no hidden layer": (3, 5), "one hidden layer": (3, 5, 2), "two hidden layers": (3, 5, 4, 1)}
CONSTANTS = {"no constant": 0, "a constant of one place": 1, "a constant of many places": SAMPLES}
Layers = list[tuple[Tensor, Tensor | None]]


def network(widths: Sequence[int], *, stacked: bool = True, bias: bool = True) -> Layers:
    lead = [USERS] if stacked else []
    return [
        (
            torch.randn(*lead, outputs, inputs, dtype=F64).requires_grad_(),
            torch.randn(*lead, outputs, dtype=F64).requires_grad_() if bias else None,
        )
        for inputs, outputs in pairwise(widths)
    ]


def inputs_of(widths: Sequence[int], places: int) -> tuple[Tensor, Tensor | None]:
    x = torch.randn(USERS, SAMPLES, widths[0], dtype=F64).requires_grad_()
    return x, torch.randn(USERS, places, widths[1], dtype=F64).requires_grad_() if places else None


def parameters_of(layers: Layers) -> list[Tensor]:
    return [parameter for layer in layers for parameter in layer if parameter is not None]


def derivatives(loss: Tensor, *of: Tensor | None) -> list[Tensor]:
    return list(torch.autograd.grad(loss, [value for value in of if value is not None]))


each_shape = pytest.mark.parametrize(
    ("widths", "places", "bias"),
    [
        pytest.param(widths, places, bias, id=f"{name}, {constant}, {'biases' if bias else 'no bias'}")
        for (name, widths), (constant, places), bias in product(WIDTHS.items(), CONSTANTS.items(), (True, False))
    ],
)


def test_a_chain_by_hand() -> None:
    # The second user's weights are the first one's negatives.
    weight = torch.tensor([[[1.0, 1.0], [1.0, -1.0]]]) * torch.tensor([1.0, -1.0]).view(2, 1, 1)
    last = torch.tensor([[[1.0, 10.0]], [[1.0, 10.0]]])
    x = torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]]])
    constant = torch.tensor([[[0.0, 5.0]], [[4.0, 0.0]]])
    layers = [(weight, torch.tensor([[0.5, 0.0], [0.0, 0.5]])), (last, torch.tensor([[100.0], [200.0]]))]
    # First: (3 + 0.5, -1 + 5) = (3.5, 4); second: (-3 + 4, 1 + 0.5) = (1, 1.5).
    assert chain(x, constant, layers).tolist() == [[[143.5]], [[216.0]]]
    assert chain(x, None, layers[:1]).tolist() == [[[3.5, -1.0]], [[-3.0, 1.5]]]
    with Descent(RATE):
        assert chain(x, constant, layers).tolist() == [[[143.5]], [[216.0]]]


@each_shape
@shared_or_stacked
def test_a_chain_is_the_same_user_by_user(widths: Sequence[int], places: int, bias: bool, stacked: bool) -> None:
    layers, (x, constant) = network(widths, stacked=stacked, bias=bias), inputs_of(widths, places)
    expected = plain_chain(x, constant, layers)
    torch.testing.assert_close(chain(x, constant, layers), expected)
    with Descent(RATE):
        torch.testing.assert_close(chain(x, constant, layers), expected)


@each_shape
@shared_or_stacked
def test_gradients_of_a_chain_are_autograds(widths: Sequence[int], places: int, bias: bool, stacked: bool) -> None:
    layers, (x, constant) = network(widths, stacked=stacked, bias=bias), inputs_of(widths, places)
    found, expected = (
        derivatives(function(x, constant, layers).square().sum(), x, constant, *parameters_of(layers))
        for function in (chain, plain_chain)
    )
    for ours, autograds in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, autograds)


@each_shape
def test_within_a_descent_weights_and_biases_move_against_their_gradients(
    widths: Sequence[int], places: int, bias: bool
) -> None:
    layers, (x, constant) = network(widths, bias=bias), inputs_of(widths, places)
    parameters, inputs = parameters_of(layers), [value for value in (x, constant) if value is not None]
    start = [value.detach().clone() for value in parameters]
    gradients = derivatives(plain_chain(x, constant, layers).square().sum(), *inputs, *parameters)
    with Descent(RATE):
        found = chain(x, constant, layers)
    found.square().sum().backward()
    for value, gradient in zip(inputs, gradients[: len(inputs)], strict=True):
        torch.testing.assert_close(value.grad, gradient)
    for value, before, gradient in zip(parameters, start, gradients[len(inputs) :], strict=True):
        assert gradient.abs().max() > 0.01
        torch.testing.assert_close(value.detach(), before - RATE * gradient)
        assert value.grad is None


@pytest.mark.parametrize("places", CONSTANTS.values(), ids=CONSTANTS)
@pytest.mark.parametrize("frozen", [{0}, {1}, {2}, {3}, {0, 1}, {0, 2}, {1, 3}, {1, 2, 3}, {0, 1, 2, 3}])
@pytest.mark.parametrize("inputs_learn", [True, False])
def test_frozen_parameters_stay_and_the_others_move(frozen: set[int], inputs_learn: bool, places: int) -> None:
    layers, (x, constant) = network((3, 5, 2)), inputs_of((3, 5, 2), places)
    parameters = parameters_of(layers)
    inputs = [value.requires_grad_(inputs_learn) for value in (x, constant) if value is not None]
    for index in frozen:
        parameters[index].requires_grad_(False)
    learning = [value for value in [*inputs, *parameters] if value.requires_grad]
    if not learning:
        return
    start = [value.detach().clone() for value in parameters]
    gradients = derivatives(plain_chain(x, constant, layers).square().sum(), *learning)
    expected = {id(value): gradient for value, gradient in zip(learning, gradients, strict=True)}
    with Descent(RATE):
        found = chain(x, constant, layers)
    found.square().sum().backward()
    for index, (value, before) in enumerate(zip(parameters, start, strict=True)):
        assert value.grad is None
        moved = before if index in frozen else before - RATE * expected[id(value)]
        torch.testing.assert_close(value.detach(), moved)
    for value in inputs:
        torch.testing.assert_close(value.grad, expected.get(id(value)))


@pytest.mark.parametrize("shared", ["weight", "bias", "both"])
def test_within_a_descent_a_shared_parameter_has_an_ordinary_gradient(shared: str) -> None:
    layers = network((3, 5, 2))
    other = network((3, 5, 2), stacked=False)
    layers[1] = (
        other[1][0] if shared != "bias" else layers[1][0],
        other[1][1] if shared != "weight" else layers[1][1],
    )
    x, _ = inputs_of((3, 5, 2), 0)
    parameters = parameters_of(layers)
    start = [value.detach().clone() for value in parameters]
    gradients = derivatives(plain_chain(x, None, layers).square().sum(), *parameters)
    with Descent(RATE):
        found = chain(x, None, layers)
    found.square().sum().backward()
    for value, before, gradient in zip(parameters, start, gradients, strict=True):
        torch.testing.assert_close(value.grad, gradient)
        assert torch.equal(value.detach(), before)


# --------------------------------------------------------------------------------------- used several times


def test_a_weight_of_two_chains_has_its_gradient_instead_and_is_not_moved() -> None:
    layers, (x, _) = network((3, 3)), inputs_of((3, 3), 0)
    ((weight, bias),) = layers
    assert bias is not None
    start = [value.detach().clone() for value in (weight, bias)]
    gradients = derivatives(plain_chain(plain_chain(x, None, layers), None, layers).square().sum(), weight, bias, x)
    with Descent(RATE):
        found = chain(chain(x, None, layers), None, layers)
    found.square().sum().backward()
    for value, before, gradient in zip((weight, bias), start, gradients, strict=False):
        assert torch.equal(value.detach(), before)
        torch.testing.assert_close(value.grad, gradient)
    torch.testing.assert_close(x.grad, gradients[2])


def test_so_has_a_weight_that_one_chain_uses_twice_while_those_beside_it_move() -> None:
    (weight, bias), (last, _) = network((3, 3, 3))
    assert bias is not None
    layers: Layers = [(weight, bias), (weight, None), (last, None)]
    x, _ = inputs_of((3, 3), 0)
    start = [value.detach().clone() for value in (weight, bias, last)]
    gradients = derivatives(plain_chain(x, None, layers).square().sum(), weight, bias, last)
    with Descent(RATE):
        found = chain(x, None, layers)
    found.square().sum().backward()
    assert torch.equal(weight.detach(), start[0])
    torch.testing.assert_close(weight.grad, gradients[0])
    for index, value in ((1, bias), (2, last)):
        torch.testing.assert_close(value.detach(), start[index] - RATE * gradients[index])
        assert value.grad is None


@pytest.mark.parametrize("how", ["doubled", "transposed"])
def test_what_is_made_of_a_weight_hands_its_gradient_on(how: str) -> None:
    ((weight, _),) = network((4, 4))
    make: Callable[[Tensor], Tensor] = {"doubled": lambda w: 2 * w, "transposed": lambda w: w.transpose(1, 2)}[how]
    x, _ = inputs_of((4, 4), 0)
    start = weight.detach().clone()
    (gradient,) = derivatives(plain_chain(x, None, [(make(weight), None)]).square().sum(), weight)
    with Descent(RATE):
        found = chain(x, None, [(make(weight), None)])
    found.square().sum().backward()
    moved = weight.detach() if weight.grad is None else weight.detach() - RATE * weight.grad
    torch.testing.assert_close(moved, start - RATE * gradient)


def test_a_weight_that_is_used_again_transposed_keeps_its_old_value_until_both_are_done() -> None:
    ((weight, _),) = network((4, 4))
    x, _ = inputs_of((4, 4), 0)
    start = weight.detach().clone()

    def tied(function: Callable[[Tensor, None, Layers], Tensor]) -> Tensor:
        code = function(x, None, [(weight, None)])
        return function(code, None, [(weight.transpose(1, 2), None)]).square().sum()

    gradient, to_input = derivatives(tied(plain_chain), weight, x)
    with Descent(RATE):
        found = tied(chain)
    found.backward()
    moved = weight.detach() if weight.grad is None else weight.detach() - RATE * weight.grad
    torch.testing.assert_close(moved, start - RATE * gradient)
    torch.testing.assert_close(x.grad, to_input)


@pytest.mark.parametrize("first", [True, False])
def test_a_parameter_that_a_model_also_uses_by_other_means_moves_by_both_or_the_step_fails(first: bool) -> None:
    weight, places = table(stacked=True), bag(1, weighted=False)
    start = weight.detach().clone()

    def loss(function: Callable[[Sequence[Places], Sequence[Tensor]], Tensor]) -> Tensor:
        if first:
            other = weight.pow(3).sum()
            return other + function([places], [weight]).square().sum()
        return function([places], [weight]).square().sum() + weight.pow(3).sum()

    (gradient,) = derivatives(loss(plain_look_up), weight)
    with Descent(RATE):
        found = loss(look_up)
    try:
        found.backward()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # noqa: PT017
        return
    moved = weight.detach() if weight.grad is None else weight.detach() - RATE * weight.grad
    torch.testing.assert_close(moved, start - RATE * gradient)


def test_a_table_that_is_made_of_a_weight_hands_its_gradient_on() -> None:
    weight, places = table(stacked=True), bag(1, weighted=False)
    start = weight.detach().clone()
    (gradient,) = derivatives(plain_look_up([places], [2 * weight]).square().sum(), weight)
    with Descent(RATE):
        found = look_up([places], [2 * weight])
    found.square().sum().backward()
    moved = weight.detach() if weight.grad is None else weight.detach() - RATE * weight.grad
    torch.testing.assert_close(moved, start - RATE * gradient)


# ------------------------------------------------------------------------------------------- the context


def test_a_descent_may_be_entered_again_and_forgets_what_was_used_before() -> None:
    descent, layers, (x, _) = Descent(RATE), network((3, 2)), inputs_of((3, 2), 0)
    ((weight, _),) = layers
    for _ in range(3):
        before = weight.detach().clone()
        (gradient,) = derivatives(plain_chain(x, None, layers).square().sum(), weight)
        with descent:
            found = chain(x, None, layers)
        found.square().sum().backward()
        torch.testing.assert_close(weight.detach(), before - RATE * gradient)
        assert weight.grad is None


def test_outside_of_a_descent_gradients_are_ordinary_again_even_after_an_error() -> None:
    layers, weight, places = network((2, 1)), table(stacked=True), bag(1, weighted=False)
    with pytest.raises(KeyError), Descent(RATE):
        raise KeyError
    start = weight.detach().clone()
    chain(look_up([places], [weight]), None, layers).sum().backward()
    assert torch.equal(weight.detach(), start)
    assert all(value.grad is not None for value in (weight, *parameters_of(layers)))


def test_what_counts_is_where_the_layer_was_used_not_where_the_backward_pass_runs() -> None:
    weight, places = table(stacked=True), bag(1, weighted=False)
    found = look_up([places], [weight]).sum()
    with Descent(RATE):
        found.backward()
    assert weight.grad is not None


def test_nothing_moves_without_a_backward_pass() -> None:
    layers, weight, places = network((2, 1)), table(stacked=True), bag(1, weighted=False)
    start = [value.detach().clone() for value in (weight, *parameters_of(layers))]
    with Descent(RATE):
        chain(look_up([places], [weight]), None, layers)
        with torch.no_grad():
            chain(look_up([places], [weight]), None, layers)
    for value, before in zip((weight, *parameters_of(layers)), start, strict=True):
        assert torch.equal(value.detach(), before)


# ----------------------------------------------------------------------- the same bits whoever is beside it

MANY = 9  # users


def assert_same_bits(step: Callable[[list[int]], list[Tensor]]) -> None:
    """A step gives every user, along the first axis of what it returns, the same beside others as beside itself."""
    together = step(list(range(MANY)))
    for user in range(MANY):
        for whole, alone in zip(together, step([user, user]), strict=True):
            assert torch.equal(whole[user], alone[0])
            assert torch.equal(alone[0], alone[1])


ODD_WIDTHS = [(45, 13), (13, 7), (7, 1), (9, 5), (24, 16), (9, 5, 1), (96, 32, 16, 1)]


def run_chain(widths: Sequence[int], *, places: int, times: int) -> Callable[[list[int]], list[Tensor]]:
    sizes = list(pairwise(widths))
    weights, biases = (
        [torch.randn(MANY, *size) for size in every] for every in ([s[::-1] for s in sizes], [s[1:] for s in sizes])
    )
    x, constant = torch.randn(MANY, 32, widths[0]), torch.randn(MANY, places, widths[1])

    def step(users: list[int]) -> list[Tensor]:
        own = [[aligned(value[users]).requires_grad_() for value in values] for values in (weights, biases)]
        seen = [value[users].requires_grad_() for value in (x, constant)]
        layers = list(zip(*own, strict=True))
        with Descent(RATE):
            y = sum((chain(time * seen[0], seen[1], layers) for time in range(1, times + 1)), torch.zeros(()))
        y.tanh().sum().backward()
        ends = [value for values in own for value in values]
        gradients = [value.grad for value in [*seen, *ends] if value.grad is not None]
        assert len(gradients) == 2 + (len(ends) if times > 1 else 0)
        return [y.detach(), *(value.detach() for value in ends), *gradients]

    return step


@pytest.mark.parametrize("places", [1, 32])
@pytest.mark.parametrize("widths", ODD_WIDTHS, ids=str)
def test_a_chain_gives_a_user_the_same_bits_whoever_is_beside_it(widths: Sequence[int], places: int) -> None:
    assert_same_bits(run_chain(widths, places=places, times=1))


@pytest.mark.parametrize("widths", ODD_WIDTHS, ids=str)
def test_so_does_one_whose_weights_are_used_twice(widths: Sequence[int]) -> None:
    assert_same_bits(run_chain(widths, places=1, times=2))


@pytest.mark.parametrize("size", [1, 3, 8, 16])
@pytest.mark.parametrize("samples", [32, FEW // 8])  # the latter is too many for nine users, and few for two
@pytest.mark.parametrize("kind", ["one value", "one weighted value", "several weighted values", "a matrix"])
def test_a_look_up_gives_a_user_the_same_bits_whoever_is_beside_it(kind: str, samples: int, size: int) -> None:
    rows = 48
    values = 3 if kind.startswith("several") else 1
    codes = torch.randint(rows, (MANY, samples, values))
    weights = None if kind == "one value" else torch.rand(MANY, samples, values)
    start, pull = torch.randn(MANY, rows, size), torch.randn(MANY, samples, size)
    assert 2 * samples * values < FEW or values > 1
    assert (MANY * samples * values > FEW) == (samples > 32)

    def step(users: list[int]) -> list[Tensor]:
        place: Places = Bag(codes[users], None if weights is None else weights[users])
        if kind == "a matrix":
            assert isinstance(place, Bag)
            place = place.matrix(rows)
        weight = aligned(start[users]).requires_grad_()
        with Descent(RATE):
            found = look_up([place], [weight])
        found.backward(pull[users])
        return [found.detach(), weight.detach()]

    assert_same_bits(step)


def test_a_frozen_network_is_computed_as_a_tuned_one() -> None:
    layers, (x, constant) = network((3, 5, 2)), inputs_of((3, 5, 2), 1)
    for context in (nullcontext(), Descent(RATE)):
        with context, torch.no_grad():
            torch.testing.assert_close(chain(x, constant, layers), plain_chain(x, constant, layers))


# -------------------------------------------------------------------------------------------------- products


def test_a_product_of_each_users_matrices_and_its_gradients() -> None:
    left, right = (torch.randn(shape, dtype=F64, requires_grad=True) for shape in ((3, 5, 2), (3, 2, 7)))
    assert torch.equal(descent.product(left, right), torch.bmm(left, right))
    assert torch.autograd.gradcheck(descent.product, (left, right))
    start = torch.randn(3, 5, 7, dtype=F64, requires_grad=True)
    torch.testing.assert_close(descent.product(left, right, start), start + torch.bmm(left, right))
    assert torch.autograd.gradcheck(descent.product, (left, right, start))
