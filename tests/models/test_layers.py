import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from fedctr.data.dataset import Field
from fedctr.models.batch import Bag, Coded
from fedctr.models.layers import MLP, Embeddings, Linear, beside, check_sizes, last_layers, pick, pool, second_order

FIELDS = (Field("id", 6), Field("kind", 4), Field("tags", 5, values=3))
COLUMNS = {"id": slice(0, 1), "kind": slice(1, 2), "tags": slice(2, 5)}
CODES = torch.tensor([[[1, 2, 3, 0, 0], [5, 3, 1, 2, 4]], [[0, 0, 0, 0, 0], [2, 0, 4, 4, 0]]])


def coded(codes: Tensor) -> dict[str, Bag]:
    """The mean of the values of each field; 0 stands for none."""
    found = {}
    for name, columns in COLUMNS.items():
        rows = codes[..., columns]
        found[name] = Bag(rows, (rows > 0) / (rows > 0).sum(-1, keepdim=True).clamp(min=1))
    return found


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
    together = functional_call(tables, parameters, (coded(CODES),))
    assert together.shape == (2, 2, 9)
    for user in range(2):
        own = {name: value[user] for name, value in parameters.items()}
        assert torch.equal(together[user], functional_call(tables, own, (coded(CODES[user : user + 1]),))[0])


# ------------------------------------------------------------------------------------------------ by hand


def test_linear_is_a_product_plus_a_bias() -> None:
    layer = Linear(2, 1)
    parameters = {"weight": torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), "bias": torch.tensor([[10.0], [20.0]])}
    x = torch.tensor([[[1.0, 1.0]], [[1.0, 1.0]]])
    assert functional_call(layer, parameters, (x,)).tolist() == [[[13.0]], [[27.0]]]


def test_parts_of_a_layer_begin_as_layers_of_their_own() -> None:
    bound = (6 / (300 + 100)) ** 0.5  # Glorot and Bengio's, of 300 inputs and 100 outputs
    for part in Linear(300, 400, parts=4).weight.chunk(4):
        assert 0.99 * bound < part.abs().max() <= bound


def test_the_user_stands_beside_each_sample() -> None:
    user, first, second = torch.tensor([[[1.0]]]), torch.tensor([[[2.0], [3.0]]]), torch.tensor([[[4.0], [5.0]]])
    assert beside(user, first, second).tolist() == [[[1.0, 2.0, 4.0], [1.0, 3.0, 5.0]]]
    each = torch.tensor([[[1.0], [9.0]]])
    assert beside(each, first).tolist() == [[[1.0, 2.0], [9.0, 3.0]]]
    assert torch.equal(beside(torch.zeros(1, 1, 0), first), first)


def test_the_second_order_is_the_inner_products_of_all_pairs_of_fields() -> None:
    user, shown = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 4.0, 5.0, 6.0], [0.0, 1.0, 1.0, 0.0]]])
    # 1*3 + 2*4 = 11, 1*5 + 2*6 = 17, 3*5 + 4*6 = 39; of the second sample 2, 1 and 0.
    assert second_order(2, user, shown).tolist() == [[67.0, 3.0]]
    assert second_order(2, torch.zeros(1, 1, 0), shown).tolist() == [[39.0, 0.0]]


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


@pytest.mark.parametrize("places", [1, 3])
@pytest.mark.parametrize("widths", [(7, 4), (5,)])
def test_an_mlp_reads_its_constant_beside_its_input(widths: tuple[int, ...], places: int) -> None:
    layer, (x, constant) = MLP(2, *widths, constant=3), (torch.randn(4, 3, 2), torch.randn(4, places, 3))
    parameters = stacked(layer, 4)
    assert list(parameters)[-1] == "constant.weight"
    joint = {name: value for name, value in parameters.items() if name != "constant.weight"}
    joint["layers.0.weight"] = torch.cat([parameters["layers.0.weight"], parameters["constant.weight"]], dim=2)
    both = torch.cat([x, constant.expand(4, 3, 3)], dim=2)
    expected = functional_call(MLP(5, *widths), joint, (both,))
    torch.testing.assert_close(functional_call(layer, parameters, (x, constant)), expected)


def test_an_mlp_with_a_constant_begins_as_one_on_both_inputs() -> None:
    inputs, constant, width = 300, 100, 200
    layer = MLP(inputs, width, constant=constant)
    assert layer.constant is not None
    bound = (6 / (inputs + constant + width)) ** 0.5  # Glorot and Bengio's, of a layer with all inputs
    for module in (layer.layers[0], layer.constant):
        assert isinstance(module.weight, Tensor)
        assert 0.99 * bound < module.weight.abs().max() <= bound
    assert layer.constant.bias is None
    assert MLP(inputs, width).constant is None


def table_of(tables: Embeddings, name: str) -> torch.nn.Parameter:
    """The table of one field."""
    weight = tables.tables[name].weight
    assert isinstance(weight, torch.nn.Parameter)
    return weight


def test_an_embedding_of_several_values_is_the_mean_of_those_present() -> None:
    tables = Embeddings("item", FIELDS[2:], 2)
    with torch.no_grad():
        table_of(tables, "tags").copy_(torch.tensor([[9.0, 9.0], [1.0, 0.0], [2.0, 0.0], [4.0, 1.0], [0.0, 7.0]]))
    assert tables(coded(CODES)).tolist() == [
        [[4.0, 1.0], [1.0, pytest.approx(7 / 3)]],  # tag 3 alone; tags 1, 2 and 4
        [[0.0, 0.0], [0.0, 7.0]],  # none; tag 4 twice
    ]


def test_a_missing_value_counts_as_zero_and_learns_nothing() -> None:
    tables = Embeddings("item", FIELDS, 2)
    assert tables(coded(CODES))[1, 0].tolist() == [0.0] * 6
    tables(coded(CODES)).sum().backward()
    for name, parameter in tables.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad[0].tolist() == [0.0, 0.0], name
        assert parameter.grad.abs().sum() > 0, name


def test_embeddings_stand_side_by_side_in_the_order_of_the_fields() -> None:
    tables, found = Embeddings("item", FIELDS, 2), coded(CODES)
    assert tables.width == 6
    for first, field in enumerate(FIELDS):
        alone = Embeddings("item", (field,), 2)
        with torch.no_grad():
            table_of(alone, field.name).copy_(table_of(tables, field.name))
        assert torch.equal(tables(found)[..., 2 * first : 2 * first + 2], alone(found))
    assert torch.equal(tables(dict(reversed(found.items()))), tables(found))  # by name, wherever it stands


def test_the_id_may_be_left_out() -> None:
    tables = Embeddings("user", FIELDS, 2, identity=False)
    assert list(tables.tables) == ["kind", "tags"]
    assert tables.width == 4
    nothing = Embeddings("user", FIELDS[:1], 2, identity=False)
    assert nothing.width == 0
    matrices: Coded = {name: bag.matrix(6) for name, bag in coded(CODES).items()}
    for places in (coded(CODES), matrices):
        assert nothing(places).shape == (2, 2, 0)


@pytest.mark.parametrize("size", [1, 64, (1,), (128, 64), ()])
def test_a_size_is_a_whole_number_of_at_least_1(size: int | tuple[int, ...]) -> None:
    check_sizes(size=size)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8", (8, 0), None])
def test_any_other_size_is_refused_by_its_name(size: int) -> None:
    with pytest.raises(ValueError, match=r"^hidden is .*; it takes whole numbers of at least 1"):
        check_sizes(embedding=8, hidden=size)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 0)])
def test_pick_takes_each_users_own_vectors(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    vectors, rows = torch.randn(2, 5, 3), torch.randint(5, shape)
    expected = torch.stack([vectors[user][rows[user]] for user in range(2)])
    assert torch.equal(pick(vectors, rows), expected)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4)])
def test_what_is_picked_several_times_adds_up_its_gradients(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    vectors, rows = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True), torch.randint(3, shape)
    assert torch.autograd.gradcheck(lambda those: pick(those, rows), (vectors,))
    (gradient,) = torch.autograd.grad(pick(vectors, rows).sum(), vectors)
    for user in range(2):
        assert gradient[user, :, 0].tolist() == torch.bincount(rows[user].flatten(), minlength=5).tolist()


@pytest.mark.parametrize("users", [1, 3])
def test_pool_is_each_users_own_weighted_sum(users: int) -> None:
    torch.manual_seed(0)
    vectors, places, weights = torch.randn(users, 5, 2), torch.randint(5, (users, 4, 6)), torch.randn(users, 4, 6)
    found = pool(vectors, places, weights)
    assert found.shape == (users, 4, 2)
    for user in range(users):
        for sample in range(4):
            terms = zip(weights[user, sample], places[user, sample], strict=True)
            expected = sum((weight * vectors[user, place] for weight, place in terms), torch.zeros(2))
            torch.testing.assert_close(found[user, sample], expected)


@pytest.mark.parametrize("users", [1, 3])
def test_gradients_of_pool_reach_vectors_and_weights(users: int) -> None:
    torch.manual_seed(0)
    places = torch.randint(5, (users, 4, 6))
    vectors, weights = (
        torch.randn(*shape, dtype=torch.float64).requires_grad_() for shape in ((users, 5, 2), places.shape)
    )
    assert torch.autograd.gradcheck(lambda v, w: pool(v, places, w), (vectors, weights))


# ---------------------------------------------------------------------------------------- the last layers


def test_the_last_layers_of_a_deep_network_are_found_by_name() -> None:
    network = torch.nn.Module()
    network.deep, network.other = MLP(3, *[2] * 11, constant=4), MLP(3, 2, 1)
    names = [name for name, _ in network.named_parameters()]
    assert last_layers(names, 1) == ["deep.layers.10.weight", "deep.layers.10.bias"]  # 10 comes after 9, not after 1
    assert last_layers(names, 2) == [f"deep.layers.{n}.{leaf}" for n in (9, 10) for leaf in ("weight", "bias")]
    assert set(last_layers(names, 11)) == {name for name in names if name.startswith("deep.")}
    assert "deep.constant.weight" not in last_layers(names, 10)


def test_without_a_deep_network_or_enough_layers_there_are_none() -> None:
    with pytest.raises(ValueError, match=r"no deep network; its parameters are bias, deeper\.layers\.0\.weight"):
        last_layers(["bias", "deeper.layers.0.weight"], 1)
    with pytest.raises(ValueError, match="the model's deep network has 1 layers, fewer than 2"):
        last_layers(["deep.layers.0.weight"], 2)
