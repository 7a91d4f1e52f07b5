"""The compiled engine; that it equals the plain loop is in ``test_cohort.py``, for every strategy and model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fedctr.cohort import gather
from fedctr.composition import strategy_of
from fedctr.data.partition import partition
from fedctr.engines import Stacked, compiles_first, engine_of
from fedctr.features import Features
from fedctr.fused import kernel
from fedctr.fused.compiled import KEPT, is_kept
from fedctr.fused.engine import Fused
from fedctr.models.model import Model
from fedctr.models.wide_deep import WideDeep
from fedctr.published import Published
from fedctr.recipe import Optimiser, Recipe
from fedctr.strategy import ClientStrategy
from strategies.fine_tuning import FineTuning
from strategies.head_only import HeadOnly
from tests.engine import Everything, cut, features_of, in_order, publish, rows, task, world
from tests.fused.test_recording import Sigmoid
from tests.test_cohort import LARGE, TEST, TRAIN, assert_equal_to_the_loop, assert_same_bits

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = (
    "lr[user_id=true]",
    "ncf[embedding=5,hidden=[13,7]]",
    "wide-deep[hidden=[32,16],history=5]",
    "deepfm[embedding=5,hidden=[13,7],history=3]",
    "fm[embedding=5,history=3]",
    "dcn-v2[embedding=3,cross=3,hidden=[13,7],history=4]",
    "din[embedding=3,hidden=[9,5],attention=7,history=4]",
    "pnn[embedding=5,hidden=[13,7],history=3]",
    "autoint[embedding=5,layers=3,heads=3,head=3,history=3]",
    "dien[embedding=3,hidden=[9,5],history=4]",
)


@pytest.mark.parametrize("options", [{}, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("strategy", [FineTuning(), Everything()], ids=lambda strategy: strategy.name)
def test_the_rows_are_the_same_bits_for_any_groups_and_partitions(
    model: str, options: dict[str, Any], strategy: ClientStrategy
) -> None:
    dataset = world([a + b for a, b in zip(TRAIN, TEST, strict=True)], **options)
    published, parts = publish(model, dataset.schema), cut(dataset, TRAIN)
    features = Features(dataset, parts, range(dataset.users), published.model.history_length)
    todo = task(batch_size=20)
    whole = rows(published, strategy, features, todo)
    assert whole["user"].tolist() == list(range(dataset.users))
    assert len(np.unique(whole["log_loss"])) > dataset.users // 2
    for size in (1, 3):
        assert_same_bits(rows(published, strategy, features, todo, cohort_size=size), whole, f"groups of {size}")
    clients = [
        Features(dataset, parts, partition(dataset.users, index, 5), features.history_length) for index in range(5)
    ]
    assert_same_bits(in_order([rows(published, strategy, own, todo) for own in clients]), whole, "5 partitions")


@pytest.mark.parametrize("model", [*MODELS[1:4], *MODELS[5:], "ncf[hidden=[]]", "wide-deep[hidden=[]]"])
def test_the_penultimate_layer_is_that_of_the_cohort_engine(model: str) -> None:
    published = publish(model, features_of(TRAIN, TEST).dataset.schema)
    features = features_of(TRAIN, TEST, history=published.model.history_length)
    compiled, stacked = Fused(published, features, "test", 20, "sgd"), Stacked(published, features, "test", 20, "cpu")
    assert compiled.layout.representation >= 0
    for users in gather(features, 20, lambda users, length: 4):
        one, other = compiled.group(users, 0), stacked.group(users, 0)
        masks = one.mask, other.local.mask[: len(users)].numpy()
        for found, expected, mask in zip(one.represent(), other.represent(), masks, strict=True):
            torch.testing.assert_close(found[mask], expected[mask], rtol=0, atol=1e-5)


def test_samples_that_are_alike_are_represented_alike_to_the_bit_wherever_they_stand() -> None:
    """So that there is no distance between them: without history, a user's samples of one item are."""
    features = features_of([50, 17], [40, 9], items=6)
    engine = Fused(publish("ncf", features.dataset.schema), features, "test", 32, "sgd")
    items, parts = features.dataset.item, [features.split.bounds(part) for part in ("test", "train")]
    pairs = 0
    for user in features.users:
        scored, train = (items[start[user] : stop[user]] for start, stop in parts)
        here, there = (found[0] for found in engine.group(np.array([user]), 0).represent())
        for one, other in np.argwhere(scored[:, np.newaxis] == train):
            assert torch.equal(here[one], there[other])
            pairs += 1
    assert pairs > 100


def test_a_representation_of_a_models_own_making_is_left_to_pytorch() -> None:
    features = features_of([9, 3], [2, 2])
    published = publish("ncf", features.dataset.schema)
    own = type("Own", (type(published.model),), {"represent": lambda self, batch: self(batch).unsqueeze(-1) + 1})
    published.model.__class__ = own
    engine = Fused(published, features, "test", 20, "sgd")
    assert engine.layout.representation < 0
    group = engine.group(np.arange(2), 0)
    ((_, logits),) = group.logits(FineTuning(), Recipe(0, 0.0, 0), [0])
    here, _ = group.represent()
    np.testing.assert_allclose(here[..., 0][group.mask], logits[group.mask] + 1, atol=1e-5)


def test_a_history_may_be_long() -> None:
    features = features_of([400, 3], [40, 40], history=150)
    pairs = features.histories.end - features.histories.begin
    assert pairs.max() == 150
    published = publish("din[history=150]", features.dataset.schema)
    # Logits of some size, made of many summands, of which rounding takes its share.
    assert_equal_to_the_loop(published, FineTuning(), features, Recipe(3, 0.001, 1), tolerance=1e-4)


def test_it_takes_what_it_can_and_the_cohort_engine_all_else() -> None:
    features = features_of([3], [2])
    cases: tuple[tuple[type[Model], Any, type], ...] = (
        (WideDeep, "cpu", Fused),
        (WideDeep, "cuda", Stacked),
        (Sigmoid, "cpu", Stacked),  # whose activation cannot be recorded
    )
    for kind, device, expected in cases:
        schema = features.dataset.schema
        engine = engine_of(Published("", schema, kind(schema), 0.3), features, replace(task(), device=device))
        assert type(engine) is expected, (kind, device)


STEPWISE: tuple[tuple[str, Optimiser], ...] = (
    ("fine-tuning", "sgd"),
    ("fine-tuning", "adam"),
    ("proximal", "sgd"),
    ("low-rank", "sgd"),
)


def test_what_is_not_kept_is_compiled_first(monkeypatch: pytest.MonkeyPatch) -> None:
    published = publish("wide-deep", features_of([3], [2]).dataset.schema)
    for kept, expected in (
        ({"kernel.fine_tune", "kernel.descend"}, [False, False, False, False]),
        ({"kernel.fine_tune"}, [False, True, True, True]),
        (set[str](), [True, True, True, True]),
    ):
        monkeypatch.setattr("fedctr.fused.engine.is_kept", kept.__contains__)
        found = [compiles_first(published, strategy_of(spec), optimiser, "cpu") for spec, optimiser in STEPWISE]
        assert found == expected
        assert not compiles_first(published, FineTuning(), "sgd", "cuda")


def test_it_is_known_what_is_kept() -> None:
    features = features_of([3], [2])
    rows(publish("lr", features.dataset.schema), FineTuning(), features, task())
    assert is_kept("kernel.fine_tune") == KEPT
    assert not is_kept("kernel.nothing")


def test_the_kernel_is_compiled_once_whatever_the_model_and_the_task() -> None:
    features = features_of(TRAIN, TEST)
    for model in ("lr", "ncf[hidden=[5]]", "wide-deep[hidden=[7],history=2]"):
        for strategy in (FineTuning(), Everything(), HeadOnly()):
            if model != "lr" or not isinstance(strategy, HeadOnly):
                rows(publish(model, features.dataset.schema), strategy, features, task(batch_size=7))
    functions: tuple[Any, ...] = kernel.fine_tune, kernel.begin, kernel.score, kernel.descend
    assert [len(function.signatures) for function in functions] == [1, 1, 1, 1]


@pytest.mark.parametrize("rate", [30.0, 1e20])
@pytest.mark.parametrize(
    "model", ["dien[embedding=3,hidden=[9,5],history=4]", "din[embedding=3,hidden=[9,5],attention=7,history=4]"]
)
def test_a_user_that_diverges_leaves_nothing_to_the_next_one(
    model: str, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a step's places are used again, also those that a shorter history does not fill."""
    features = features_of(TRAIN, TEST, history=4)
    published = publish(model, features.dataset.schema)
    todo = task(rates=(rate,), epochs=(3,), batch_size=20)
    whole = rows(published, FineTuning(), features, todo)
    assert_same_bits(rows(published, FineTuning(), features, todo, cohort_size=1), whole, "each alone")
    monkeypatch.setattr("fedctr.engines.takes", lambda *task: False)
    expected = rows(published, FineTuning(), features, todo)["diverged"]
    np.testing.assert_array_equal(whole["diverged"], expected)
    assert 0 < expected.sum() < len(expected)


@pytest.mark.parametrize("strategy", [FineTuning(), Everything()], ids=lambda strategy: strategy.name)
def test_what_is_not_tuned_stays_as_published_to_the_bit(strategy: ClientStrategy) -> None:
    """A user without samples, and a step of no size."""
    features = features_of(TRAIN, TEST)
    published = publish("wide-deep[hidden=[16],history=5]", features.dataset.schema)
    engine = Fused(published, features, "test", 32, "sgd")
    for users in gather(features, 32, lambda users, length: 32):
        group = engine.group(users, 0)
        for rate in (0.0, 0.3):
            (_, before), (_, after) = group.logits(strategy, Recipe(0, rate, 1), [0, 1])
            untouched = np.full(len(users), True) if rate == 0 else np.array(TRAIN)[users] == 0
            np.testing.assert_array_equal(before[untouched], after[untouched])
            assert rate == 0 or (before[~untouched] != after[~untouched]).any()
