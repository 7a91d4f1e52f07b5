"""What PyTorch has a part in at every step; the shelf's losses and penalties are in ``test_engine.py``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from torch import Tensor, ones, zeros

from fedctr.adapter import Adapter
from fedctr.composition import Composed
from fedctr.data.partition import partition
from fedctr.features import Features
from fedctr.recipe import Optimiser, Recipe
from fedctr.strategy import ClientStrategy
from strategies.low_rank import LowRank
from strategies.scale_only import ScaleOnly
from tests.engine import Everything, HeadOnly, Proximal, cut, features_of, in_order, publish, rows, task, world
from tests.test_cohort import LARGE, TEST, TRAIN, assert_equal_to_the_loop, assert_same_bits

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = (
    "wide-deep[embedding=5,hidden=[13,7],history=3]",
    "din[embedding=3,hidden=[9,5],attention=7,history=4]",
    "dcn-v2[embedding=3,cross=3,hidden=[13,7],history=4]",
)


@dataclass(frozen=True)
class Curved(ClientStrategy):
    """Adapts tables, weights in another way, one to nothing new, and tunes the others themselves."""

    name: ClassVar[str] = "curved"

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter | None:
        if "tables" in name:
            # All rows by the same numbers, so that those which no training sample needs change as well.
            start = {"scale": ones(weight.shape[1]), "shift": zeros(())}
            return Adapter(
                start, lambda origin, tuned: origin * tuned["scale"][:, None] + tuned["shift"][:, None, None]
            )
        if weight.dim() == 2:  # flattened by view(), which asks for rows without gaps between them
            return Adapter({"all": zeros(weight.numel())}, self._flat)
        return Adapter({}, lambda origin, tuned: origin) if name.endswith("layers.0.bias") else None

    def _flat(self, origin: Tensor, tuned: Mapping[str, Tensor]) -> Tensor:
        return (origin.view(len(origin), -1) + tuned["all"].tanh()).view(origin.shape)


STRATEGIES: tuple[ClientStrategy, ...] = (
    Curved(),
    Composed((Curved(), HeadOnly(), Proximal())),  # a penalty sees the rows of tables that a device has
    Composed((LowRank(2), Everything())),
    Composed((ScaleOnly(), Everything())),
)


@dataclass(frozen=True)
class Shrinking(ClientStrategy):
    """What pulls at one weight depends on all of them, also on rows of tables that stand for nothing."""

    name: ClassVar[str] = "shrinking"

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor:
        norms = [(value.flatten(1).square().sum(1) + 1).sqrt() for value in parameters.values()]
        return sum(norms, zeros(()))


each_model = pytest.mark.parametrize("model", MODELS)
each_strategy = pytest.mark.parametrize(
    "strategy", STRATEGIES, ids=lambda strategy: "+".join(part.name for part in strategy.components())
)


@each_model
@each_strategy
def test_adapters_of_any_kind_are_equal_to_the_plain_loop(strategy: ClientStrategy, model: str) -> None:
    features = features_of(TRAIN, TEST)
    published = publish(model, features.dataset.schema)
    own = replace(features, history_length=published.model.history_length)
    assert_equal_to_the_loop(published, strategy, own, Recipe(3, 0.03, 2, 20))


@pytest.mark.parametrize(
    ("strategy", "optimiser"),
    [*((strategy, "sgd") for strategy in STRATEGIES), (STRATEGIES[1], "adam")],
    ids=lambda value: value if isinstance(value, str) else "+".join(part.name for part in value.components()),
)
def test_adapted_weights_are_the_same_bits_for_any_groups_and_partitions(
    strategy: ClientStrategy, optimiser: Optimiser
) -> None:
    dataset = world([a + b for a, b in zip(TRAIN, TEST, strict=True)], **LARGE)
    published, parts = publish(MODELS[0], dataset.schema), cut(dataset, TRAIN)
    features = Features(dataset, parts, range(dataset.users), published.model.history_length)
    todo = replace(task(rates=(0.03,), epochs=(1, 2), batch_size=20), optimiser=optimiser)
    whole = rows(published, strategy, features, todo)
    for size in (1, 3):
        assert_same_bits(rows(published, strategy, features, todo, cohort_size=size), whole, f"groups of {size}")
    clients = [replace(features, users=partition(dataset.users, index, 5)) for index in range(5)]
    assert_same_bits(in_order([rows(published, strategy, own, todo) for own in clients]), whole, "5 partitions")


@pytest.mark.parametrize("rate", [0.3, 1e20])
def test_users_leave_nothing_behind_on_the_devices_that_the_next_ones_get(rate: float) -> None:
    """Not even those that diverge, nor those that have more rows of tables."""
    features, todo = features_of(TRAIN, TEST), task(rates=(rate,), batch_size=20)
    published = publish(MODELS[0], features.dataset.schema)
    whole = rows(published, Shrinking(), features, todo, cohort_size=1)
    fresh = [replace(features, users=range(user, user + 1)) for user in range(len(TRAIN))]
    assert_same_bits(whole, in_order([rows(published, Shrinking(), own, todo) for own in fresh]), "devices of its own")
    assert whole["diverged"].any() == (rate > 1)
