import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from fedctr.data.dataset import Field
from fedctr.models.layers import MLP, Embedding, Embeddings, Linear, pick

FIELDS = (Field("id", 6), Field("kind", 4), Field("tags", 5, values=3))
CODES = torch.tensor([[[1, 2, 3, 0, 0], [5, 3, 1, 2, 4]], [[0, 0, 0, 0, 0], [2, 0, 4, 4, 0]]], dtype=torch.int32)


def stacked(module: torch.nn.Module, users: int) -> dict[str, Tensor]:
    """Other parameters for every user."""
    torch.manual_seed(3)
    return {name: torch.randn(users, *value.shape) for name, value in module.named_parameters()}


# --------------------------------------------------------------------------------- stacked equals shared


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 5), (16, 13), (32, 16), (45, 13)])
@pytest.mark.parametrize("users", [1, 2, 5])
@pytest.mark.parametrize("kind", [Linear, MLP])
def test_stacked_layers_are_one_layer_per_user(kind: type[Linear | MLP], users: int, inputs: int, outputs: int) -> None:
    layer = kind(inputs, outputs) if kind is Linear else MLP(inputs, 7, outputs)
    parameters, x = stacked(layer, users), torch.randn(users, 4, inputs)
    together = functional_call(layer, parameters, (x,))
    assert together.shape == (users, 4, outputs)
    for user in range(users):
        own = {name: value[user] for name, value in parameters.items()}
        torch.testing.assert_close(together[user], functional_call(layer, own, (x[user : user + 1],))[0])


@pytest.mark.parametrize("users", [1, 2, 5])
@pytest.mark.parametrize("which", ["weight", "bias"])
def test_a_layer_may_share_its_weight_and_not_its_bias_or_the_reverse(users: int, which: str) -> None:
    layer, x = Linear(3, 5), torch.randn(users, 4, 3)
    own = stacked(layer, users)[which]
    together = functional_call(layer, {which: own}, (x,))
    for user in range(users):
        alone = functional_call(layer, {which: own[user]}, (x[user : user + 1],))
        torch.testing.assert_close(together[user], alone[0])


def test_stacked_embeddings_are_one_table_per_user() -> None:
    tables = Embeddings("item", FIELDS, 3)
    parameters = stacked(tables, 2)
    together = functional_call(tables, parameters, (CODES,))
    for user in range(2):
        own = {name: value[user] for name, value in parameters.items()}
        assert torch.equal(together[user], functional_call(tables, own, (CODES[user : user + 1],))[0])


# ------------------------------------------------------------------------------------------------ by hand


def test_linear_is_a_product_plus_a_bias() -> None:
    layer = Linear(2, 1)
    parameters = {"weight": torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), "bias": torch.tensor([[10.0], [20.0]])}
    x = torch.tensor([[[1.0, 1.0]], [[1.0, 1.0]]])
    assert functional_call(layer, parameters, (x,)).tolist() == [[[13.0]], [[27.0]]]


def test_mlp_has_relu_between_its_layers_and_not_after_the_last() -> None:
    layer = MLP(1, 2, 1)
    parameters = {
        "layers.0.weight": torch.tensor([[1.0], [-1.0]]),
        "layers.0.bias": torch.zeros(2),
        "layers.1.weight": torch.tensor([[-1.0, 10.0]]),
        "layers.1.bias": torch.zeros(1),
    }
    x = torch.tensor([[[2.0], [-2.0]]])
    assert functional_call(layer, parameters, (x,)).tolist() == [[[-2.0], [20.0]]]


def test_an_embedding_of_several_values_is_the_mean_of_those_present() -> None:
    table = Embedding("item", FIELDS[2], slice(2, 5), 2)
    with torch.no_grad():
        table.weight.copy_(torch.tensor([[9.0, 9.0], [1.0, 0.0], [2.0, 0.0], [4.0, 1.0], [0.0, 7.0]]))
    assert table(CODES).tolist() == [
        [[4.0, 1.0], [1.0, pytest.approx(7 / 3)]],  # tag 3 alone; tags 1, 2 and 4
        [[0.0, 0.0], [0.0, 7.0]],  # none; tag 4 twice
    ]


def test_a_missing_value_counts_as_zero_and_learns_nothing() -> None:
    tables = Embeddings("item", FIELDS, 2)
    assert tables(CODES)[1, 0].tolist() == [0.0] * 6
    tables(CODES).sum().backward()
    for name, parameter in tables.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad[0].tolist() == [0.0, 0.0], name
        assert parameter.grad.abs().sum() > 0, name


def test_embeddings_stand_side_by_side_in_the_order_of_the_fields() -> None:
    tables = Embeddings("item", FIELDS, 2)
    assert tables.width == 6
    parts = [tables.tables[name](CODES) for name in ("id", "kind", "tags")]
    assert torch.equal(tables(CODES), torch.cat(parts, dim=-1))


def test_the_id_may_be_left_out() -> None:
    tables = Embeddings("user", FIELDS, 2, identity=False)
    assert list(tables.tables) == ["kind", "tags"]
    assert tables.width == 4
    nothing = Embeddings("user", FIELDS[:1], 2, identity=False)
    assert nothing.width == 0
    assert nothing(CODES).shape == (2, 2, 0)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 0)])
def test_pick_takes_each_users_own_vectors(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    vectors, rows = torch.randn(2, 5, 3), torch.randint(5, shape)
    expected = torch.stack([vectors[user][rows[user]] for user in range(2)])
    assert torch.equal(pick(vectors, rows), expected)


@pytest.mark.parametrize(("inputs", "outputs"), [(45, 13), (13, 7), (7, 1), (24, 16)])
def test_a_users_gradients_are_the_same_bits_whoever_is_beside_it(inputs: int, outputs: int) -> None:
    layer = Linear(inputs, outputs)
    parameters, x = stacked(layer, 9), torch.randn(9, 32, inputs)

    def gradients(users: list[int]) -> list[Tensor]:
        own = {name: value[users].requires_grad_() for name, value in parameters.items()}
        seen = x[users].requires_grad_()
        y = functional_call(layer, own, (seen,))
        return [y.detach(), *torch.autograd.grad(y.tanh().sum(), [*own.values(), seen])]

    together = gradients(list(range(9)))
    for user in range(9):
        for whole, alone in zip(together, gradients([user, user]), strict=True):
            assert torch.equal(whole[user], alone[0])
            assert torch.equal(alone[0], alone[1])
