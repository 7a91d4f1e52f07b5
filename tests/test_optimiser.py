from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fedctr import loop
from fedctr.cohort import Cohort, gather
from fedctr.composition import strategy_of
from fedctr.data.partition import partition
from fedctr.engine import fine_tune
from fedctr.features import Features
from fedctr.optimiser import SGD, Adam, optimiser_of
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, Local
from fedctr.task import Task
from strategies.fine_tuning import FineTuning
from tests.engine import (
    Everything,
    cut,
    features_of,
    in_order,
    publish,
    rows,
    world,
)
from tests.engine import task as any_task
from tests.test_cohort import LARGE, MODELS, ODD_MODELS, SHELF, TEST, TRAIN, assert_equal_to_the_loop, assert_same_bits

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe(3, 0.01, 2, optimiser="adam")
# Losses whose gradients are zero in exact arithmetic, of one parameter always or of all at the first step. Adam makes a
# whole step of what rounding leaves of them, in plain PyTorch as well.
VANISHING = ("pairwise", "listwise", "label-correction[variant=anchored]")
TUNING = [spec for spec in SHELF if strategy_of(spec).tunes]


def task(**options: Any) -> Task:
    return replace(any_task(rates=(0.02,), epochs=(2,), **options), optimiser="adam")


def own_features(published: Published, features: Features) -> Features:
    """The same with as long histories as the model reads."""
    return Features(features.dataset, features.split, features.users, published.model.history_length)


@pytest.fixture(scope="module")
def features() -> Features:
    return features_of(TRAIN, TEST)


@pytest.fixture(scope="module")
def large() -> Features:
    return features_of(TRAIN, TEST, **LARGE)


# ------------------------------------------------------------------------------------------- by hand


def leaves(*values: Sequence[float]) -> dict[str, Tensor]:
    """One stacked parameter, a row for each user."""
    return {"weight": torch.tensor(values, requires_grad=True)}


def given_gradient(moved: dict[str, Tensor], *gradient: Sequence[float]) -> dict[str, Tensor]:
    moved["weight"].grad = torch.tensor(gradient)
    return moved


def test_the_first_step_of_adam_is_the_rate_whatever_the_size_of_the_gradient() -> None:
    moved = leaves([1.0, 1.0, 1.0])
    Adam(0.1, moved).step(given_gradient(moved, [5.0, -0.001, 0.0]), {}, 1)
    np.testing.assert_allclose(moved["weight"].tolist(), [[0.9, 1.1, 1.0]], atol=2e-6)
    assert moved["weight"].grad is None


def test_two_steps_of_adam_by_hand() -> None:
    moved = leaves([1.0])
    adam = Adam(0.1, moved)
    adam.step(given_gradient(moved, [2.0]), {}, 1)
    adam.step(given_gradient(moved, [-1.0]), {}, 1)
    first, second = 0.9 * (0.1 * 2) + 0.1 * -1, 0.999 * (0.001 * 4) + 0.001 * 1
    expected = 0.9 - 0.1 * (first / (1 - 0.9**2)) / (second / (1 - 0.999**2)) ** 0.5
    assert moved["weight"].item() == pytest.approx(expected, abs=1e-6)


def test_what_an_earlier_step_has_touched_moves_on_and_what_none_has_touched_stays() -> None:
    moved = leaves([1.0, 1.0])
    adam = Adam(0.1, moved)
    adam.step(given_gradient(moved, [2.0, 0.0]), {}, 1)
    before = moved["weight"].tolist()
    adam.step(given_gradient(moved, [0.0, 0.0]), {}, 1)
    assert moved["weight"][0, 0].item() < before[0][0] - 0.05
    assert moved["weight"][0, 1].item() == 1.0


def test_a_pull_adds_to_the_gradient() -> None:
    for optimiser in (Adam(0.1, leaves([0.0])), SGD(0.1)):
        both, one = leaves([1.0]), leaves([1.0])
        optimiser.step(given_gradient(both, [2.0]), {"weight": torch.tensor([[1.0]])}, 1)
        (SGD(0.1) if isinstance(optimiser, SGD) else Adam(0.1, one)).step(given_gradient(one, [3.0]), {}, 1)
        assert torch.equal(both["weight"], one["weight"])
        alone = leaves([1.0])
        optimiser.step(alone, {"weight": torch.tensor([[1.0]])}, 1)
        assert alone["weight"].item() < 1


def test_a_parameter_without_a_gradient_stays() -> None:
    for optimiser in (Adam(0.1, leaves([0.0])), SGD(0.1)):
        moved = leaves([1.0])
        optimiser.step(moved, {"weight": None}, 1)
        assert moved["weight"].item() == 1.0


def test_a_recipe_says_which() -> None:
    assert isinstance(optimiser_of(Recipe(0, 0.1, 1), leaves([0.0])), SGD)
    assert isinstance(optimiser_of(Recipe(0, 0.1, 1, optimiser="adam"), leaves([0.0])), Adam)


@given(
    steps=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(lambda steps: sorted(steps, reverse=True)),
    epochs=st.integers(1, 3),
    rate=st.sampled_from([0.001, 0.1]),
    size=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_every_user_is_moved_as_pytorch_moves_it_alone(
    steps: list[int], epochs: int, rate: float, size: int, seed: int
) -> None:
    """Users do all their steps of an epoch and are then left out until the next one."""
    generator = torch.Generator().manual_seed(seed)
    moved = {"weight": torch.randn(len(steps), size, generator=generator).requires_grad_()}
    alone = [torch.nn.Parameter(value.clone()) for value in moved["weight"].detach()]
    plain = [torch.optim.Adam([value], lr=rate) for value in alone]
    adam = Adam(rate, moved)
    for _ in range(epochs):
        for step in range(steps[0]):
            users = sum(own > step for own in steps)
            gradient = torch.randn(len(steps), size, generator=generator)
            gradient *= torch.rand(gradient.shape, generator=generator) < 0.5
            moved["weight"].grad = gradient
            adam.step(moved, {}, users)
            for user in range(users):
                alone[user].grad = gradient[user].clone()
                plain[user].step()
    np.testing.assert_allclose(moved["weight"].detach(), torch.stack([*alone]).detach(), rtol=0, atol=2e-6)


# --------------------------------------------------------------------------- equal to the plain loop


@pytest.mark.exhaustive
@pytest.mark.parametrize("spec", [spec for spec in TUNING if not any(name in spec for name in VANISHING)])
def test_every_strategy_of_the_shelf_is_equal_to_the_plain_loop(spec: str, features: Features) -> None:
    published = publish("wide-deep[hidden=[32,16],history=5]", features.dataset.schema)
    assert_equal_to_the_loop(published, strategy_of(spec), own_features(published, features), RECIPE)


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("strategy", [FineTuning(), Everything()], ids=lambda strategy: strategy.name)
def test_every_model_is_equal_to_the_plain_loop(model: str, strategy: ClientStrategy, features: Features) -> None:
    published = publish(model, features.dataset.schema)
    assert_equal_to_the_loop(published, strategy, own_features(published, features), RECIPE)


@pytest.mark.parametrize("model", ODD_MODELS)
@pytest.mark.parametrize(
    "strategy",
    [pytest.param(FineTuning(), marks=pytest.mark.exhaustive), Everything()],
    ids=lambda strategy: strategy.name,
)
def test_rows_of_large_tables_are_tuned_as_whole_tables_are(
    model: str, strategy: ClientStrategy, large: Features
) -> None:
    published = publish(model, large.dataset.schema)
    assert_equal_to_the_loop(published, strategy, own_features(published, large), RECIPE)


@pytest.mark.parametrize("batch_size", [1, 7, 33])
def test_any_batch_size_is_equal_to_the_plain_loop(batch_size: int, features: Features) -> None:
    published = publish(ODD_MODELS[0], features.dataset.schema)
    few = Features(features.dataset, features.split, range(6, 8), published.model.history_length)
    assert_equal_to_the_loop(published, FineTuning(), few, replace(RECIPE, batch_size=batch_size))


@dataclass(frozen=True)
class InDouble(ClientStrategy):
    """Another strategy, whose labels have as many digits as the model in float64 that it is given."""

    name = "in-double"

    other: ClientStrategy

    def targets(self, local: Local, published: Published) -> Tensor:
        samples, positives = local.samples.double(), local.positives.double()
        exact = replace(
            local,
            labels=local.labels.double(),
            samples=samples,
            positives=positives,
            ctr=positives / samples.clamp(min=1),
        )
        return self.other.targets(exact, published)

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        return self.other.loss(logits, targets, local, published)


def in_double(values: Tensor) -> Tensor:
    return values.double() if values.is_floating_point() else values


@pytest.mark.parametrize("model", ["wide-deep[hidden=[32,16],history=5]", "din[history=5]"])
@pytest.mark.parametrize("spec", [*VANISHING, "fine-tuning"])
def test_where_gradients_vanish_both_engines_agree_in_float64(model: str, spec: str, features: Features) -> None:
    published, strategy = publish(model, features.dataset.schema), InDouble(strategy_of(spec))
    published.model.double()
    own = own_features(published, features)
    for users in gather(own, 32, lambda users, length: 32):
        cohort = Cohort.build(own, users, "test", 32, published.model.reads)
        cohort = cohort._take(cohort.users, in_double)
        tuned = fine_tune(published, strategy, cohort, cohort.local(published, RECIPE.seed), RECIPE)
        plain = [loop.fine_tune(published, strategy, own, int(user), RECIPE) for user in users]
        for parameters in tuned:
            logits = cohort.score(published.model, parameters)
            for row, models in enumerate(plain):
                expected = loop.score(next(models), own, int(users[row]), "test")
                np.testing.assert_allclose(logits[row, : len(expected)], expected, rtol=0, atol=1e-6)


# -------------------------------------------------------------- the same bits whoever shares a cohort


@pytest.mark.usefixtures("cohort_engine")
@pytest.mark.parametrize(
    ("model", "options"),
    [
        *((model, {}) for model in ODD_MODELS),
        (MODELS[0], LARGE),
        (ODD_MODELS[0], LARGE),
        (MODELS[2], LARGE),
    ],
    ids=lambda value: "large" if value == LARGE else None if value else "small",
)
def test_the_rows_are_the_same_bits_for_any_cohorts_and_partitions(model: str, options: dict[str, Any]) -> None:
    dataset = world([a + b for a, b in zip(TRAIN, TEST, strict=True)], **options)
    published, parts = publish(model, dataset.schema), cut(dataset, TRAIN)
    features = Features(dataset, parts, range(dataset.users), published.model.history_length)
    strategy = Everything()
    whole = rows(published, strategy, features, task())
    for size in (1, 3, 1000):
        found = rows(published, strategy, features, task(), cohort_size=size)
        assert_same_bits(found, whole, f"cohorts of {size}")
    clients = [
        rows(published, strategy, replace(features, users=partition(dataset.users, index, 5)), task())
        for index in range(5)
    ]
    assert_same_bits(in_order(clients), whole, "5 partitions")


@pytest.mark.usefixtures("cohort_engine")
def test_a_full_cohort_gives_the_bits_of_small_ones() -> None:
    features = features_of([3 + user % 29 for user in range(40)], [2] * 40, history=2)
    published = publish("wide-deep[embedding=3,hidden=[5],history=2]", features.dataset.schema)
    whole = rows(published, Everything(), features, task(), cohort_size=1000)
    for size in (1, 7, 32):
        assert_same_bits(rows(published, Everything(), features, task(), cohort_size=size), whole, f"{size}")


def test_adam_is_another_result_than_gradient_descent(features: Features) -> None:
    published = publish("lr", features.dataset.schema)
    adam, sgd = (
        rows(published, FineTuning(), features, replace(task(), optimiser=name)) for name in ("adam", "sgd")
    )  # fmt: skip
    tuned = (np.array(TRAIN) > 0) & (np.array(TEST) > 0)
    assert (adam["log_loss"] != sgd["log_loss"])[tuned].all()
    assert (adam["log_loss"] == sgd["log_loss"])[(np.array(TRAIN) == 0) & (np.array(TEST) > 0)].all()


# ------------------------------------------------------------------------------------------- padding


@pytest.mark.parametrize("model", ["wide-deep[hidden=[16],history=5]", "din[history=5]"])
def test_rows_that_no_sample_uses_stay_as_published(model: str, large: Features) -> None:
    published = publish(model, large.dataset.schema)
    users = np.array([5, 3])  # 65 and 33 samples
    cohort = Cohort.build(large, users, "test", 32, published.model.reads)
    origin = cohort.stack(published.model)
    *_, tuned = fine_tune(published, FineTuning(), cohort, cohort.local(published, RECIPE.seed), RECIPE)
    checked = 0
    for name, table in published.model.embeddings.items():
        codes = cohort.tables[table.side, table.field].codes
        moved = (tuned[name] != origin[name]).any(2)
        assert not moved[codes == 0].any(), name
        assert moved.any(), name
        checked += int((codes == 0).sum())
    assert checked > 50


def test_a_user_without_samples_keeps_the_published_parameters_to_the_bit(features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    (users,) = (group for group in gather(features, 32, lambda users, length: 32) if 0 in group)
    cohort = Cohort.build(features, users, "test", 32, published.model.reads)
    row, origin = users.tolist().index(0), cohort.stack(published.model)
    *_, tuned = fine_tune(published, FineTuning(), cohort, cohort.local(published, RECIPE.seed), RECIPE)
    for name, value in tuned.items():
        assert torch.equal(value[row], origin[name][row]), name
    assert not torch.equal(tuned["deep.layers.0.weight"][0], origin["deep.layers.0.weight"][0])


@pytest.mark.usefixtures("cohort_engine")
def test_a_user_who_is_computed_beside_the_last_one_does_not_move_on() -> None:
    """A lone user is computed with another one, who has no samples left and keeps its weights and its steps."""
    features = features_of([33, 32], [9, 9], history=5)
    published = publish("din[history=5]", features.dataset.schema)
    # Adam divides a gradient by its own size, so the rounding of a small one, which is up to the CPU, counts in full.
    assert_equal_to_the_loop(published, FineTuning(), features, replace(RECIPE, epochs=3), tolerance=1e-4)
    whole = rows(published, FineTuning(), features, task())
    assert_same_bits(rows(published, FineTuning(), features, task(), cohort_size=1), whole, "alone")
