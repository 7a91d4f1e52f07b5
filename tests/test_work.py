"""What a step of fine-tuning costs, counted in operations and not in seconds, so that it holds on every machine."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fedctr.cohort import Cohort
from fedctr.engine import fine_tune
from fedctr.features import Features
from fedctr.models.descent import Descent
from fedctr.recipe import Recipe
from strategies.fine_tuning import FineTuning
from tests.engine import features_of, publish

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH, LENGTH = 32, 128  # places in a step, and in the padded training part of two or three steps
WIDE_DEEP = "wide-deep[embedding=5,hidden=[130,70],history=5]"
DIN = "din[embedding=3,hidden=[90,50],attention=7,history=4]"
FM = "fm[embedding=5,history=5]"
DEEPFM = "deepfm[embedding=5,hidden=[130,70],history=5]"
PNN = "pnn[embedding=5,hidden=[130,70],history=5]"
DCN_V2 = "dcn-v2[embedding=5,hidden=[130,70],history=5]"
AUTOINT = "autoint[embedding=5,heads=3,head=2,history=5]"
DIEN = "dien[embedding=3,hidden=[90,50],history=4]"
NETWORKS = (WIDE_DEEP, DIN, DEEPFM, PNN, DCN_V2, DIEN)  # whose weights are more than what they make of a sample
# Tables that each user has a whole copy of, and tables of which users have a copy of the rows in use.
WORLDS: dict[str, dict[str, Any]] = {"whole": {}, "in use": {"items": 300, "scale": 40}}
PRODUCTS = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1, "addmm_": 1, "baddbmm_": 1}  # where the factors begin
Shape = tuple[int, ...]

each_world = pytest.mark.parametrize("world", WORLDS)
each_network = pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.partition("[")[0])
each_model = pytest.mark.parametrize("spec", ["lr", FM, AUTOINT, *NETWORKS], ids=lambda spec: spec.partition("[")[0])


@dataclass(frozen=True)
class Operation:
    """One operation on tensors.

    Attributes:
        name: without namespace and overload.
        made: shapes of the outputs that are no inputs or parts of them.
        factors: of a matrix product, the shapes of both factors.
    """

    name: str
    made: tuple[Shape, ...]
    factors: tuple[Shape, ...]

    @property
    def sizes(self) -> Shape:
        """The three sizes of a matrix product, ascending: it and both products of its gradients have the same."""
        (*_, rows, inner), (*_, columns) = self.factors
        return tuple(sorted((rows, inner, columns)))

    @property
    def flops(self) -> int:
        """Floating-point operations of a matrix product, 0 for anything else."""
        return 2 * prod(self.factors[0]) * self.factors[1][-1] if self.factors else 0


class Recorder(TorchDispatchMode):
    """Keeps all operations while it is entered, step by step.

    Attributes:
        steps: operations before the first descent, and from the beginning of each to that of the next.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[Counter[Operation]] = [Counter()]

    def __torch_dispatch__(self, func: Any, types: object, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        given, out = (
            [value for value in tree_leaves(values) if isinstance(value, Tensor)] for values in ((args, kwargs), found)
        )
        owned = {value.untyped_storage().data_ptr() for value in given}
        first = PRODUCTS.get(name)
        self.steps[-1][
            Operation(
                name,
                tuple(tuple(value.shape) for value in out if value.untyped_storage().data_ptr() not in owned),
                () if first is None else tuple(tuple(value.shape) for value in given[first : first + 2]),
            )
        ] += 1
        return found


class Scene:
    """Some of many users, to be fine-tuned.

    Args:
        spec: the model.
        world: which.
        steps: of each user.
        chosen: who takes part; everybody unless told.
    """

    def __init__(self, spec: str, world: str, steps: Sequence[int], chosen: Sequence[int] = ()) -> None:
        features = features_of([BATCH * count for count in steps], [1] * len(steps), **WORLDS[world])
        self.published = publish(spec, features.dataset.schema)
        length = self.published.model.history_length
        features = Features(features.dataset, features.split, features.users, length)
        self.cohort = Cohort.build(
            features, np.array(chosen or range(len(steps))), "train", BATCH, self.published.model.reads
        )
        assert self.cohort.train.mask.shape[1] == LENGTH

    def epoch(self) -> list[Counter[Operation]]:
        """The operations of the second epoch, step by step."""
        local, recipe = self.cohort.local(self.published, 0), Recipe(0, 0.1, 2, BATCH)
        epochs, enter = fine_tune(self.published, FineTuning(), self.cohort, local, recipe), Descent.__enter__
        recorder = Recorder()

        def begin(descent: Descent) -> Descent:
            recorder.steps.append(Counter())
            return enter(descent)

        next(epochs)
        with pytest.MonkeyPatch.context() as patch, recorder:
            patch.setattr(Descent, "__enter__", begin)
            next(epochs)
        return recorder.steps

    @property
    def weights(self) -> dict[str, Shape]:
        """The shapes of all stacked parameters."""
        return {name: tuple(value.shape) for name, value in self.cohort.stack(self.published.model).items()}

    def rows(self, field: str) -> int:
        """Of a field's table for each user."""
        return self.cohort.tables["item", field].rows


def step_of(spec: str, world: str, users: int = 32, chosen: Sequence[int] = ()) -> Counter[Operation]:
    """The operations of the second step of three: the first has to put the epoch's samples in order."""
    _, _, second, _ = Scene(spec, world, [3] * users, chosen).epoch()
    return second


def flops(operations: Counter[Operation]) -> int:
    """Floating-point operations of all matrix products."""
    return sum(operation.flops * count for operation, count in operations.items())


# ----------------------------------------------------------------------------------- how many operations


@each_model
@each_world
def test_the_number_of_operations_does_not_depend_on_the_number_of_users(spec: str, world: str) -> None:
    features = features_of([3 * BATCH] * 32, [1] * 32, **WORLDS[world])
    group = features.dataset.user_codes[:, 1]
    # Two users one of whose codes is missing, as there are among all.
    few = [int(np.flatnonzero(group > 0)[0]), int(np.flatnonzero(group == 0)[0])]
    names: list[Counter[str]] = []
    for chosen in (few, range(32)):
        names.append(Counter())
        for operation, count in step_of(spec, world, 32, chosen).items():
            if operation.name != "slice":  # to slice all users off all of them is no operation
                names[-1][operation.name] += count
    assert names[0] == names[1]
    assert names[0].total() > 30


# A tenth above what was found with PyTorch 2.13, such as 70 and 80 for lr; half of them are views.
MOST = {
    "lr": (77, 88),
    "fm": (237, 264),
    "wide-deep": (212, 238),
    "deepfm": (262, 290),
    "pnn": (196, 216),
    "dcn-v2": (212, 231),
    "autoint": (252, 272),
    "din": (228, 255),
    "dien": (602, 629),
}


@each_model
@each_world
def test_a_step_takes_about_as_many_operations_as_it_did(spec: str, world: str) -> None:
    whole, in_use = MOST[spec.partition("[")[0]]
    assert step_of(spec, world).total() <= (whole if world == "whole" else in_use)


# -------------------------------------------------------------------------------------- matrix products


def layers_of(spec: str) -> list[Shape]:
    """Places, inputs and outputs of each linear layer, by hand."""
    deep = [(BATCH, 130, 70), (BATCH, 70, 1), (1, 5, 130)]
    if spec in (WIDE_DEEP, DEEPFM):  # three item fields of size 5, shown and in the mean; one user field of size 5
        return [(BATCH, 30, 130), *deep]
    if spec == PNN:  # beside them the pairs of seven fields
        return [(BATCH, 30 + 21, 130), *deep]
    if spec == DCN_V2:  # of which the first cross layer reads what the user's field is once
        return [(1, 5, 35), (BATCH, 30, 35), (BATCH, 35, 35), (BATCH, 35, 1), (BATCH, 30, 130), *deep]
    if spec == AUTOINT:  # query, key, value and residual of three heads of size 2
        return [(BATCH * 7, 5, 24), (BATCH * 7, 6, 24), (BATCH, 7 * 6, 1)]
    deep = [(BATCH, 18, 90), (BATCH, 90, 50), (BATCH, 50, 1), (1, 3, 90)]
    if spec == DIN:  # three item fields of size 3; a history of four clicks
        return [(BATCH, 9, 7), (LENGTH, 9, 7), (BATCH * 4, 9, 7), (BATCH * 4, 7, 1), *deep]
    if spec == DIEN:  # what both recurrent units read, for two gates and the new state; attention
        return [(LENGTH, 9, 27), (BATCH * 4, 9, 27), (BATCH, 9, 9), *deep]
    return []


def looked_up(spec: str, scene: Scene, world: str) -> list[Shape]:
    """Places, rows and size of each look-up that is a matrix product, by hand; with size 1 it is a plain one."""
    tags = scene.rows("tags")
    if spec == "lr":
        return []
    if spec in (DIN, DIEN):
        return [(BATCH, tags, 3), (LENGTH, tags, 3)] if world == "whole" else []
    means: list[Shape] = [(BATCH, scene.rows(field), 5) for field in ("item", "category", "tags")]
    return [*means, (BATCH, tags, 5)] if world == "whole" else means


def others(spec: str) -> Sequence[tuple[int, int, Shape]]:
    """How often, how many matrices at once, and sizes of each product that is no layer's or look-up's, by hand."""
    if spec == DIN:  # the sum over clicks
        return [(3, 1, (BATCH, LENGTH, 9))]
    if spec == PNN:  # all pairs of seven fields
        return [(3, BATCH, (7, 5, 7))]
    if spec == AUTOINT:  # for each sample, head and layer, among seven fields
        return 2 * [(3, BATCH * 3, (7, 2, 7)), (3, BATCH * 3, (7, 7, 2))]
    if spec == DIEN:  # for each of four clicks forward and to the state, and for all together into the weights
        units = 2 * [18, 9]
        return [(2 * 4, 1, (BATCH, 9, width)) for width in units] + [(1, 1, (BATCH * 4, 9, width)) for width in units]
    return []


def products_of(spec: str, world: str) -> list[tuple[int, int, Shape]]:
    """How often, how many matrices of each user at once, and sizes of all matrix products of a step.

    A layer's are forward, to the input and into the weights; codes have no gradient.
    """
    layers, found = layers_of(spec), looked_up(spec, Scene(spec, world, [2] * 2), world)
    return [*((3, 1, shape) for shape in layers), *((2, 1, shape) for shape in found), *others(spec)]


@each_model
@each_world
def test_a_layer_is_three_matrix_products_a_look_up_two_and_there_are_no_others(spec: str, world: str) -> None:
    expected: Counter[Shape] = Counter()
    for times, _, shape in products_of(spec, world):
        expected[tuple(sorted(shape))] += times
    found: Counter[Shape] = Counter()
    for operation, count in step_of(spec, world).items():
        if operation.factors:
            found[operation.sizes] += count
    assert found == expected


def flops_per_user(spec: str, world: str) -> int:
    """Floating-point operations of a user's step, by the formula."""
    return sum(2 * times * matrices * prod(shape) for times, matrices, shape in products_of(spec, world))


@each_world
@each_model
def test_the_floating_point_operations_of_a_step_are_those_of_the_model(spec: str, world: str) -> None:
    assert flops(step_of(spec, world, users=8)) == 8 * flops_per_user(spec, world)


@each_network
def test_users_who_are_done_cost_nothing_and_no_other_product_belongs_to_an_epoch(spec: str) -> None:
    steps = [3] * 5 + [2] * 4
    assert sum(map(flops, Scene(spec, "whole", steps).epoch())) == sum(steps) * flops_per_user(spec, "whole")


# ---------------------------------------------------------------------------------- no copies of weights


@each_model
@each_world
def test_no_step_makes_a_copy_of_weights_or_a_gradient_of_their_shape(spec: str, world: str) -> None:
    weights = Scene(spec, world, [2] * 32).weights
    made = set(chain.from_iterable(operation.made for operation in step_of(spec, world)))
    for name, shape in weights.items():
        # Where there is a row for each place, what is looked up has the shape of the table.
        looked_up = "tables" in name and (shape[1] == 1 or (spec in (DIN, DIEN) and shape[1] == LENGTH))
        # So has what the first cross layer makes of the user, beside the layer that ends the cross network.
        if len(shape) == 3 and not looked_up and name != "crossed.weight":
            users, rows, size = shape
            assert made.isdisjoint({shape, (users, size, rows)}), name
            assert "tables" not in name or (users * rows, size) not in made, name  # all users' below one another


@each_world
@each_network
def test_nothing_that_a_step_makes_is_as_large_as_the_weights_of_all_users(spec: str, world: str) -> None:
    weights = sum(map(prod, Scene(spec, world, [2] * 32).weights.values()))
    largest = max(map(prod, chain.from_iterable(operation.made for operation in step_of(spec, world))))
    assert largest < weights


@each_network
def test_an_epoch_moves_the_stacked_weights_where_they_are(spec: str) -> None:
    scene = Scene(spec, "whole", [3] * 8)
    local, recipe = scene.cohort.local(scene.published, 0), Recipe(0, 0.1, 2, BATCH)
    epochs = fine_tune(scene.published, FineTuning(), scene.cohort, local, recipe)
    first, second = (
        {name: value.data_ptr() for name, value in parameters.items()} for parameters in (next(epochs), next(epochs))
    )
    assert first == second


def test_the_recorder_counts_what_was_made_and_what_was_multiplied() -> None:
    total, first, second = torch.zeros(2, 3, 5), torch.ones(2, 3, 4), torch.ones(2, 4, 5)
    with Recorder() as recorder:
        total.baddbmm_(first, second)
        torch.bmm(first, second.view(2, 4, 5)[:, :, :1])
    assert {(o.name, o.made, o.factors): (count, o.flops) for o, count in recorder.steps[0].items() if o.factors} == {
        ("baddbmm_", (), ((2, 3, 4), (2, 4, 5))): (1, 2 * 2 * 3 * 4 * 5),
        ("bmm", ((2, 3, 1),), ((2, 3, 4), (2, 4, 1))): (1, 2 * 2 * 3 * 4),
    }
    views = [operation for operation in recorder.steps[0] if not operation.factors]
    assert views
    assert all(operation.made == () for operation in views)
