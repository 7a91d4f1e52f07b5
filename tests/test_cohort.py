from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fedctr import loop
from fedctr.cohort import Cohort, block_of, gather, padded_length
from fedctr.composition import JUDGING, Composed, strategy_of
from fedctr.data.dataset import Schema
from fedctr.data.partition import partition
from fedctr.engine import fine_tune, working_set
from fedctr.engines import Engine, Stacked
from fedctr.features import Features
from fedctr.fused.engine import Fused, takes
from fedctr.judgement import Columns
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, Local, overrides, strategies
from strategies.fine_tuning import FineTuning
from strategies.low_rank import LowRank
from strategies.scale_only import ScaleOnly
from tests.engine import (
    Brier,
    Everything,
    HeadOnly,
    Proximal,
    Tempered,
    cut,
    features_of,
    in_order,
    publish,
    rows,
    task,
    world,
)

pytestmark = pytest.mark.usefixtures("one_thread", "cohort_engine")

MODELS = (
    "lr[user_id=true]",
    "wide-deep[hidden=[32,16],history=5]",
    "din[history=5]",
    "fm[history=5]",
    "deepfm[hidden=[32,16],history=5]",
    "pnn[hidden=[32,16],history=5]",
    "dcn-v2[hidden=[32,16],history=5]",
    "autoint[heads=3,head=4,history=5]",
    "dien[history=5]",
)
ODD_MODELS = (
    "wide-deep[embedding=5,hidden=[13,7],history=3]",
    "din[embedding=3,hidden=[9,5],attention=7,history=4]",
    "fm[embedding=5,history=3]",
    "deepfm[embedding=5,hidden=[13,7],history=3]",
    "pnn[embedding=5,hidden=[13,7],history=3]",
    "dcn-v2[embedding=3,cross=3,hidden=[13,7],history=4]",
    "autoint[embedding=5,layers=3,heads=3,head=3,history=3]",
    "dien[embedding=3,hidden=[9,5],history=4]",
)
VARIANTS = ("shift", "smoothed", "partial", "anchored")
SHELF = (
    # Without those that tune as plain fine-tuning does, and only then choose.
    *(name for name in strategies.classes() if not any(overrides(strategies.create(name), hook) for hook in JUDGING)),
    *(f"label-correction[variant={variant}]" for variant in VARIANTS),
    "label-correction[variant=shift,clip=true]",
    "head-only[layers=2]",
    "label-correction+head-only",
    "label-correction[variant=anchored]+proximal[weight=0.5]",
    "gap-only+joint+logit-adjustment+proximal+gate",
)
DEEP = ("head-only", "label-correction+head-only", "low-rank", "scale-only")  # which only a network has
OWN = (Proximal(), HeadOnly(), Tempered(), Brier(), Everything())
# None, one, a full batch, one more; padded lengths of one, two and four blocks; steps that others are done with.
TRAIN = [0, 1, 32, 33, 64, 65, 5, 17, 30, 31, 2, 40, 0]
TEST = [3, 4, 33, 1, 0, 10, 7, 32, 8, 2, 5, 64, 0]
# So many codes that users do not have copies of whole tables.
LARGE: dict[str, Any] = {"items": 300, "scale": 40}
# Of a logit, beside 1e-5, for losses that are the same whatever is added to all logits: there rounding errors add up
# and nothing takes them back. It is what PyTorch, too, takes to be equal in single precision.
RELATIVE = 1.3e-6


@pytest.fixture(scope="module")
def features() -> Features:
    return features_of(TRAIN, TEST)


@pytest.fixture(scope="module")
def large() -> Features:
    return features_of(TRAIN, TEST, **LARGE)


def one_in(count: int, pairs: Sequence[tuple[Any, str]]) -> list[Any]:
    """All of them, of which ``make test`` runs the first of every so many, and ``make test-all`` all."""
    return [
        pytest.param(*pair, marks=() if number % count == 0 else pytest.mark.exhaustive)
        for number, pair in enumerate(pairs)
    ]


# ------------------------------------------------------------------------------------- forming cohorts


def test_padded_lengths_by_hand() -> None:
    counts = np.array([0, 1, 32, 33, 64, 65, 96, 97, 128, 129, 192, 193, 256, 257])
    blocks = [0, 1, 1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 16]
    assert padded_length(counts, 32).tolist() == [32 * block for block in blocks]


@given(count=st.integers(1, 10**7), block=st.integers(1, 300))
def test_a_padded_length_is_the_least_power_of_two_of_blocks(count: int, block: int) -> None:
    (length,) = padded_length(np.array([count]), block).tolist()
    blocks, rest = divmod(length, block)
    assert rest == 0
    assert blocks.bit_count() == 1
    assert length >= count
    assert blocks == 1 or length // 2 < count
    assert padded_length(np.array([count + 1]), block)[0] >= length


def test_the_places_of_a_block_are_a_multiple_of_32() -> None:
    assert [block_of(size) for size in (1, 31, 32, 33, 64)] == [32, 32, 32, 64, 64]


@given(
    train=st.lists(st.integers(0, 200), min_size=1, max_size=40),
    batch_size=st.integers(1, 70),
    size=st.integers(1, 9),
    data=st.data(),
)
def test_every_user_of_the_partition_is_in_one_cohort_of_equals(
    train: list[int], batch_size: int, size: int, data: st.DataObject
) -> None:
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(train))] * 2)))
    dataset = world(train)
    features = Features(dataset, cut(dataset, train), range(start, stop), 0)
    cohorts = list(gather(features, batch_size, lambda users, length: size))
    assert sorted(user for cohort in cohorts for user in cohort) == list(range(start, stop))
    assert all(1 <= len(cohort) <= size for cohort in cohorts)
    for cohort in cohorts:
        counts = np.array(train)[cohort]
        assert len(set(padded_length(counts + 1, block_of(batch_size)))) == 1
        steps = -(-counts // batch_size)
        assert (np.diff(steps) <= 0).all()


def test_only_the_last_cohort_of_a_padded_length_is_not_full_and_the_size_is_asked_for_once_each() -> None:
    features = features_of([5, 40, 0, 31, 32, 200, 7, 64, 63], [0] * 9)
    asked: list[tuple[list[int], int]] = []

    def size(users: npt.NDArray[np.int64], length: int) -> int:
        asked.append((users.tolist(), length))
        return len(asked) + 1

    cohorts = [cohort.tolist() for cohort in gather(features, 32, size)]
    # 0, 2, 3 and 6 fit in one block; 1, 4 and 8 in two; 7 in four; 5 in eight. Most steps first.
    assert asked == [([0, 3, 6, 2], 32), ([1, 8, 4], 64), ([7], 128), ([5], 256)]
    assert cohorts == [[0, 3], [6, 2], [1, 8, 4], [7], [5]]


# ------------------------------------------------------------------------------ equal to the plain loop


def engines_of(published: Published, features: Features, recipe: Recipe) -> Iterator[Engine]:
    """The cohort engine, and the compiled one if it takes the model."""
    yield Stacked(published, features, "test", recipe.batch_size, "cpu")
    if takes(published, "cpu"):
        yield Fused(published, features, "test", recipe.batch_size, recipe.optimiser)


def assert_equal_to_the_loop(
    published: Published, strategy: ClientStrategy, features: Features, recipe: Recipe, tolerance: float = 1e-5
) -> None:
    """Compare the logits of every engine that takes the model after each epoch, and that tuning did something."""
    engines = list(engines_of(published, features, recipe))
    relative = 0.0 if strategy.reads_level else RELATIVE
    moved = 0.0
    for users in gather(features, recipe.batch_size, lambda users, length: 32):
        plain = [
            [
                loop.score(model, features, int(user), "test")
                for model in loop.fine_tune(published, strategy, features, int(user), recipe)
            ]
            for user in users
        ]
        for engine in engines:
            group = engine.group(users, recipe.seed)
            (_, before), *after = group.logits(strategy, recipe, range(recipe.epochs + 1))
            assert [epoch for epoch, _ in after] == list(range(1, recipe.epochs + 1))
            for epoch, logits in after:
                for row, expected in enumerate(plain):
                    found = logits[row, group.mask[row]]
                    np.testing.assert_allclose(found, expected[epoch - 1], relative, tolerance)
                moved = max(moved, float(np.abs(logits - before).max(initial=0)))
    assert moved > 100 * tolerance


@pytest.mark.parametrize(
    ("spec", "model"),
    one_in(
        7,  # fewer than there are models, so that every strategy is among them
        [
            (spec, model)
            for spec in SHELF
            for model in MODELS
            if strategy_of(spec).tunes and not (spec.startswith(DEEP) and model.startswith(("lr", "fm")))
            if not ("layers=2" in spec and model.startswith("autoint"))  # whose head has one layer
        ],
    ),
)
def test_every_strategy_of_the_shelf_is_equal_to_the_plain_loop(spec: str, model: str, features: Features) -> None:
    published = publish(model, features.dataset.schema)
    assert_equal_to_the_loop(published, strategy_of(spec), features, Recipe(3, 0.1, 2))


@pytest.mark.parametrize(
    ("strategy", "model"),
    one_in(3, [(strategy, model) for strategy in OWN for model in MODELS]),
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_strangers_strategy_is_equal_to_the_plain_loop(
    strategy: ClientStrategy, model: str, features: Features
) -> None:
    published = publish(model, features.dataset.schema)
    assert_equal_to_the_loop(published, strategy, features, Recipe(3, 0.1, 2))


@pytest.mark.parametrize(
    ("model", "strategy"),
    [
        *((model, Everything()) for model in ODD_MODELS),
        *(pytest.param(model, Everything(), marks=pytest.mark.exhaustive) for model in MODELS),
        *(pytest.param(model, FineTuning(), marks=pytest.mark.exhaustive) for model in (*MODELS, *ODD_MODELS)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_rows_of_large_tables_are_tuned_as_whole_tables_are(
    model: str, strategy: ClientStrategy, large: Features
) -> None:
    published = publish(model, large.dataset.schema)
    own = Features(large.dataset, large.split, large.users, published.model.history_length)
    assert_equal_to_the_loop(published, strategy, own, Recipe(3, 0.1, 2))


@pytest.mark.parametrize(
    ("model", "scale"),
    [
        *((model, 1) for model in (*MODELS, *ODD_MODELS)),
        *((model, 40) for model in ODD_MODELS),
        *(pytest.param(model, 40, marks=pytest.mark.exhaustive) for model in MODELS),
    ],
)
def test_a_user_may_have_a_field_of_several_values(model: str, scale: int) -> None:
    features = features_of(TRAIN, TEST, scale=scale, interests=True)
    published = publish(model, features.dataset.schema)
    own = Features(features.dataset, features.split, features.users, published.model.history_length)
    assert_equal_to_the_loop(published, FineTuning(), own, Recipe(3, 0.1, 2))


@pytest.mark.parametrize("model", ["lr", *ODD_MODELS])
def test_nothing_may_be_known_of_users_but_their_ids(model: str, features: Features) -> None:
    dataset = features.dataset
    schema = Schema(dataset.schema.user_fields[:1], dataset.schema.item_fields)
    bare = replace(dataset, schema=schema, user_codes=dataset.user_codes[:, :1])
    published = publish(model, schema)
    own = Features(bare, features.split, features.users, published.model.history_length)
    assert {side for side, _ in published.model.reads} == {"item"}
    assert_equal_to_the_loop(published, FineTuning(), own, Recipe(3, 0.1, 2))


@pytest.mark.parametrize("model", ODD_MODELS)
@pytest.mark.parametrize("batch_size", [1, 7, 33, 100])
def test_any_widths_and_batch_size_are_equal_to_the_plain_loop(model: str, batch_size: int, features: Features) -> None:
    published = publish(model, features.dataset.schema)
    few = Features(features.dataset, features.split, range(6, 8), published.model.history_length)
    assert_equal_to_the_loop(published, Everything(), few, Recipe(3, 0.01, 2, batch_size))


@pytest.mark.parametrize("model", [*MODELS, *ODD_MODELS])
def test_untuned_logits_are_those_of_the_published_model(model: str, features: Features) -> None:
    published = publish(model, features.dataset.schema)
    own = Features(features.dataset, features.split, features.users, published.model.history_length)
    for engine in engines_of(published, own, Recipe(0, 0.0, 0)):
        for users in gather(own, 32, lambda users, length: 32):
            group = engine.group(users, 0)
            ((_, logits),) = group.logits(FineTuning(), Recipe(0, 0.0, 0), [0])
            for row, user in enumerate(users):
                expected = loop.score(published.model, own, int(user), "test")
                np.testing.assert_allclose(logits[row, group.mask[row]], expected, rtol=0, atol=1e-5)


class Spy(ClientStrategy):
    """Keeps what the hooks are shown."""

    name = "spy"

    def __init__(self) -> None:
        self.locals: list[Local] = []

    def targets(self, local: Local, published: Published) -> Tensor:
        self.locals.append(local)
        return local.labels


def test_hooks_are_shown_the_local_samples_and_nothing_else(features: Features) -> None:
    published, spy = publish("lr", features.dataset.schema), Spy()
    cohort = Cohort.build(features, np.array([7, 8]), "test", 32, published.model.reads)
    for _ in fine_tune(published, spy, cohort, cohort.local(published, 0), Recipe(0, 0.1, 1)):
        pass
    (local,) = spy.locals
    for row, user in enumerate((7, 8)):
        (next(loop.fine_tune(published, spy, features, user, Recipe(0, 0.1, 1))))
        plain = spy.locals[-1]
        real = local.mask[row]
        assert real.sum() == TRAIN[user]
        assert torch.equal(local.labels[row, real], plain.labels[0])
        torch.testing.assert_close(local.published_logits[row, real], plain.published_logits[0])
        assert not local.labels[row, ~real].any()
        for name in ("positives", "samples", "ctr"):
            assert getattr(local, name)[row].tolist() == getattr(plain, name)[0].tolist()


def test_a_strategy_that_tunes_nothing_is_refused_by_both_engines(features: Features) -> None:
    class Frozen(ClientStrategy):
        name = "frozen"

        def trainable(self, parameter: str) -> bool:
            return False

    published = publish("lr", features.dataset.schema)
    cohort = Cohort.build(features, np.array([7, 8]), "test", 32, published.model.reads)
    for engine in (
        fine_tune(published, Frozen(), cohort, cohort.local(published, 0), Recipe(0, 0.1, 1)),
        loop.fine_tune(published, Frozen(), features, 7, Recipe(0, 0.1, 1)),
    ):
        with pytest.raises(ValueError, match="trainable chose none of the parameters bias, user"):
            next(iter(engine))


# --------------------------------------------------------------- the same bits whoever shares a cohort


def assert_same_bits(first: Columns, second: Columns, what: str) -> None:
    assert list(first) == list(second)
    for name, values in first.items():
        assert values.tobytes() == second[name].tobytes(), f"{what}: {name}"


@pytest.mark.parametrize(
    ("model", "batch_size", "options"),
    [
        *((model, 32, {}) for model in (MODELS[0], *ODD_MODELS)),
        (ODD_MODELS[0], 7, {}),
        (MODELS[2], 40, {}),
        *((model, 32, LARGE) for model in (MODELS[0], ODD_MODELS[1], ODD_MODELS[7])),
        (MODELS[1], 7, LARGE),
        *(pytest.param(model, 32, {}, marks=pytest.mark.exhaustive) for model in MODELS[1:]),
        *(pytest.param(model, 32, LARGE, marks=pytest.mark.exhaustive) for model in (ODD_MODELS[0], *ODD_MODELS[2:7])),
    ],
    ids=lambda value: "large" if value == LARGE else None if value else "small",
)
def test_the_rows_are_the_same_bits_for_any_cohorts_and_partitions(
    model: str, batch_size: int, options: dict[str, Any]
) -> None:
    dataset = world([a + b for a, b in zip(TRAIN, TEST, strict=True)], **options)
    published, parts = publish(model, dataset.schema), cut(dataset, TRAIN)
    features = Features(dataset, parts, range(dataset.users), published.model.history_length)
    todo = task(batch_size=batch_size)
    whole = rows(published, Everything(), features, todo)
    assert whole["user"].tolist() == list(range(dataset.users))
    assert len(np.unique(whole["log_loss"])) > dataset.users // 2
    for size in (1, 3, 32):
        assert_same_bits(rows(published, Everything(), features, todo, cohort_size=size), whole, f"cohorts of {size}")
    for count in (2, dataset.users):
        clients = [
            rows(
                published,
                Everything(),
                Features(dataset, parts, partition(dataset.users, index, count), features.history_length),
                todo,
            )
            for index in range(count)
        ]
        assert_same_bits(in_order(clients), whole, f"{count} partitions")


@pytest.mark.parametrize("model", [ODD_MODELS[1], ODD_MODELS[5], ODD_MODELS[6], ODD_MODELS[7]])
def test_adapted_weights_are_the_same_bits_for_any_cohorts(model: str) -> None:
    features = features_of(TRAIN[3:11], TEST[3:11])
    published = publish(model, features.dataset.schema)
    own = Features(features.dataset, features.split, features.users, published.model.history_length)
    for strategy in (Composed((LowRank(2), Everything())), Composed((ScaleOnly(), Everything()))):
        whole = rows(published, strategy, own, task())
        for size in (1, 3):
            assert_same_bits(rows(published, strategy, own, task(), cohort_size=size), whole, f"cohorts of {size}")


@pytest.mark.parametrize(
    "model",
    [
        "lr",
        "wide-deep[embedding=3,hidden=[4],history=2]",
        "fm[embedding=3,history=2]",
        "deepfm[embedding=3,hidden=[4],history=2]",
        "pnn[embedding=3,hidden=[4],history=2]",
        "dcn-v2[embedding=3,hidden=[4],history=2]",
        "autoint[embedding=3,head=3,history=2]",
        "dien[embedding=3,hidden=[4],history=2]",
    ],
)
def test_a_full_cohort_gives_the_bits_of_small_ones(model: str) -> None:
    # Vector instructions take 32 users' own numbers at once, and the remaining eight one by one.
    features = features_of([3 + user % 29 for user in range(40)], [2] * 40, history=2)
    published = publish(model, features.dataset.schema)
    whole = rows(published, Everything(), features, task(rates=(0.3,), epochs=(2,)), cohort_size=1000)
    for size in (1, 7, 32):
        assert_same_bits(
            rows(published, Everything(), features, task(rates=(0.3,), epochs=(2,)), cohort_size=size), whole, f"{size}"
        )


def test_plain_fine_tuning_is_what_autograd_makes_of_the_same_loss(features: Features) -> None:
    """Only the contract's own loss has its gradient in closed form; a loss that calls it has not."""

    class Itself(FineTuning):
        def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
            return super().loss(logits, targets, local, published)

    for model in MODELS:
        published = publish(model, features.dataset.schema)
        closed, automatic = (rows(published, strategy, features, task()) for strategy in (FineTuning(), Itself()))
        for name, found in closed.items():
            expected = automatic[name].astype(np.float64)
            np.testing.assert_allclose(found.astype(np.float64), expected, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("spec", SHELF)
def test_every_strategy_of_the_shelf_gives_the_same_bits(spec: str, features: Features) -> None:
    published, strategy = publish("wide-deep[hidden=[16],history=5]", features.dataset.schema), strategy_of(spec)
    for batch_size in (32, 20):
        todo = task(batch_size=batch_size)
        together = rows(published, strategy, features, todo, cohort_size=1000)
        assert_same_bits(rows(published, strategy, features, todo, cohort_size=3), together, spec)


@pytest.mark.parametrize("strategy", OWN, ids=lambda strategy: strategy.name)
def test_a_strangers_strategy_gives_the_same_bits(strategy: ClientStrategy, features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    together = rows(published, strategy, features, task(), cohort_size=1000)
    assert_same_bits(rows(published, strategy, features, task(), cohort_size=3), together, strategy.name)


# ------------------------------------------------------------------------------------- users who are done


def test_a_cohort_of_the_first_users_is_the_same_without_the_others(features: Features) -> None:
    published = publish("wide-deep[hidden=[16],history=5]", features.dataset.schema)
    cohort = Cohort.build(features, np.array([11, 9, 8]), "test", 32, published.model.reads)
    first = cohort.first(2)
    assert cohort.first(3) is cohort
    assert first.users.tolist() == [11, 9]
    assert torch.equal(first.train.mask, cohort.train.mask[:2])
    assert torch.equal(first.scored.labels, cohort.scored.labels[:2])
    stacked = cohort.stack(published.model)
    fewer = first.stack(published.model)
    for name, value in stacked.items():
        assert torch.equal(fewer[name], value[:2]), name
    np.testing.assert_array_equal(
        first.score(published.model, fewer), cohort.score(published.model, stacked)[:2, : first.scored.mask.shape[1]]
    )


def test_a_user_without_samples_keeps_the_published_parameters_to_the_bit(features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    (users,) = (group for group in gather(features, 32, lambda users, length: 32) if 0 in group)
    assert len(users) > 2
    cohort = Cohort.build(features, users, "test", 32, published.model.reads)
    row, origin = users.tolist().index(0), cohort.stack(published.model)
    *_, tuned = fine_tune(published, FineTuning(), cohort, cohort.local(published, 3), Recipe(3, 0.1, 2))
    for name, value in tuned.items():
        assert torch.equal(value[row], origin[name][row]), name
    assert not torch.equal(tuned["deep.layers.0.weight"][0], origin["deep.layers.0.weight"][0])


def test_fine_tuning_leaves_the_published_model_as_it_was(features: Features) -> None:
    for spec in MODELS:
        published = publish(spec, features.dataset.schema)
        before = {name: value.clone() for name, value in published.model.state_dict().items()}
        rows(published, FineTuning(), features, task(rates=(0.3,), epochs=(2,)))
        for name, value in published.model.state_dict().items():
            assert torch.equal(value, before[name]), name
        assert all(parameter.grad is None for parameter in published.model.parameters())


# ------------------------------------------------------------------------------- what a step goes through


def working_set_of(spec: str, features: Features) -> int:
    published = publish(spec, features.dataset.schema)
    cohort = Cohort.build(features, np.array([7, 8]), "train", 32, published.model.reads)
    return working_set(published.model, cohort)


@pytest.mark.parametrize("spec", [*MODELS, *ODD_MODELS])
def test_the_working_set_holds_at_least_a_users_weights(spec: str, features: Features, large: Features) -> None:
    for each in (features, large):
        published = publish(spec, each.dataset.schema)
        cohort = Cohort.build(each, np.array([7, 8]), "train", 32, published.model.reads)
        weights = sum(value[0].numel() * 4 for value in cohort.stack(published.model).values())
        before = {name: value.clone() for name, value in published.model.state_dict().items()}
        assert working_set(published.model, cohort) >= weights > 0
        for name, value in published.model.state_dict().items():
            assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("wide-deep[hidden=[16],history=5]", "wide-deep[hidden=[32],history=5]"),
        ("wide-deep[hidden=[16],history=5]", "wide-deep[hidden=[16,16],history=5]"),
        ("wide-deep[embedding=4,history=5]", "wide-deep[embedding=8,history=5]"),
        ("din[attention=8,history=5]", "din[attention=16,history=5]"),
        ("fm[embedding=4,history=5]", "fm[embedding=8,history=5]"),
        ("deepfm[hidden=[16],history=5]", "deepfm[hidden=[16,16],history=5]"),
        ("pnn[hidden=[16],history=5]", "pnn[hidden=[32],history=5]"),
        ("dcn-v2[cross=1,history=5]", "dcn-v2[cross=2,history=5]"),
        ("autoint[layers=1,history=5]", "autoint[layers=2,history=5]"),
        ("dien[embedding=4,history=5]", "dien[embedding=8,history=5]"),
        ("lr", "lr[user_id=true]"),
    ],
)
def test_the_working_set_grows_with_the_model(smaller: str, larger: str, features: Features) -> None:
    assert working_set_of(smaller, features) < working_set_of(larger, features)


def test_the_working_set_is_per_user(features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    few, many = (
        Cohort.build(features, np.array(users), "train", 32, published.model.reads) for users in ([7, 8], [7, 8] * 8)
    )
    assert working_set(published.model, many) == pytest.approx(working_set(published.model, few), rel=0.05)
