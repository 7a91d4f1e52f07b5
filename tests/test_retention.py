from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedctr import loop
from fedctr.cohort import Cohort, gather
from fedctr.data.dataset import Dataset
from fedctr.data.partition import partition
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.published import Published
from fedctr.randomness import words
from fedctr.recipe import Optimiser, Recipe
from fedctr.retention import EVERYTHING, Held, Retention
from fedctr.strategy import ClientStrategy
from fedctr.task import Task
from strategies.fine_tuning import FineTuning
from strategies.label_correction import LabelCorrection
from strategies.no_fine_tuning import NoFineTuning
from tests.engine import Everything, cut, features_of, in_order, publish, rows, task, world
from tests.test_cohort import LARGE, MODELS, ODD_MODELS, TEST, TRAIN, assert_equal_to_the_loop, assert_same_bits

pytestmark = pytest.mark.usefixtures("one_thread")

HALF = Retention(keep_positives=0.5, keep_negatives=0.7)
LATEST = Retention(keep_positives=0.6, most=9)
NO_POSITIVES = Retention(keep_positives=0.0)
NOTHING = Retention(keep_positives=0.0, keep_negatives=0.0)
THINNED = pytest.mark.parametrize("retention", [HALF, LATEST, NO_POSITIVES, NOTHING], ids=str)


def labelled(*users: Sequence[int], test: int = 2) -> tuple[Dataset, Features]:
    """Users with these labels in training, and some more samples for test."""
    dataset = world([len(user) + test for user in users])
    label = np.concatenate([[*user, *[1] * test] for user in users]).astype(np.uint8)
    dataset = replace(dataset, label=label)
    return dataset, Features(dataset, cut(dataset, [len(user) for user in users]), range(len(users)), 3)


def held_of(features: Features, retention: Retention, seed: int = 0) -> Held:
    return Held.draw(features.dataset, features.split, features.users, retention, seed)


def places(features: Features, held: Held) -> list[list[int]]:
    """Of each user, the places of the training samples that are held."""
    starts, stops = features.split.bounds("train")
    return [
        np.flatnonzero(held.of(np.arange(starts[user], stops[user]))).tolist()
        for user in range(features.users.start, features.users.stop)
    ]


# ------------------------------------------------------------------------------------------- by hand


def test_a_class_that_is_not_kept_is_gone_and_the_other_is_all_there() -> None:
    _, features = labelled([1, 0, 0, 1], [], [1, 1], [0])
    assert places(features, held_of(features, NO_POSITIVES)) == [[1, 2], [], [], [0]]
    assert places(features, held_of(features, Retention(keep_negatives=0.0))) == [[0, 3], [], [0, 1], []]
    assert held_of(features, NO_POSITIVES).samples.tolist() == [2, 0, 0, 1]


def test_the_latest_of_what_is_left_are_held() -> None:
    _, features = labelled([1, 0, 0, 1, 0, 1], [0, 0], [1, 1])
    assert places(features, held_of(features, Retention(most=2))) == [[4, 5], [0, 1], [0, 1]]
    assert places(features, held_of(features, Retention(keep_positives=0.0, most=2))) == [[2, 4], [0, 1], []]


def test_validation_and_test_are_never_held() -> None:
    _, features = labelled([1, 0], [0, 1])
    held = held_of(features, Retention(most=5))
    assert held.mask.tolist() == [True, True, False, False] * 2
    assert held.samples.tolist() == [2, 2]


def test_keeping_all_is_no_work_at_all() -> None:
    _, features = labelled([1, 0])
    assert features.keeping(EVERYTHING, 3) is features
    assert features.keeping(Retention(), 3) is features


@pytest.mark.parametrize("options", [{"keep_positives": -0.1}, {"keep_negatives": 1.1}, {"most": 0}, {"most": -3}])
def test_what_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(FedctrError, match=f"local: {next(iter(options))} .* must be"):
        Retention(**options)  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------- the draw

some_labels = st.lists(st.lists(st.integers(0, 1), max_size=12), min_size=1, max_size=5)
shares_of_one = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
retentions = st.builds(Retention, shares_of_one, shares_of_one, st.none() | st.integers(1, 8))


@given(users=some_labels, retention=retentions, seed=st.integers(0, 99), together=st.integers(1, 30))
def test_held_is_what_the_words_of_seed_user_and_place_say(
    users: list[list[int]], retention: Retention, seed: int, together: int
) -> None:
    _, features = labelled(*users)
    expected = []
    for user, labels in enumerate(users):
        drawn = words(seed, "held", np.array([user]), len(labels))[0].tolist()
        share = {0: retention.keep_negatives, 1: retention.keep_positives}
        kept = [place for place, label in enumerate(labels) if drawn[place] / 2**64 < share[label]]
        expected.append(kept if retention.most is None else kept[-retention.most :])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedctr.retention.AT_ONCE", together)
        held = held_of(features, retention, seed)
    assert places(features, held) == expected
    assert held.samples.tolist() == [len(kept) for kept in expected]
    assert held.mask.sum() == held.samples.sum()


@given(users=some_labels, retention=retentions, data=st.data())
def test_a_partition_holds_what_all_together_hold(
    users: list[list[int]], retention: Retention, data: st.DataObject
) -> None:
    _, features = labelled(*users)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(users))] * 2)))
    part = replace(features, users=range(start, stop))
    assert places(part, held_of(part, retention)) == places(features, held_of(features, retention))[start:stop]


def test_one_draw_does_not_depend_on_other_samples() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40).tolist()
    before, after = labelled(labels, [0] * 5)[1], labelled([*labels[:-1], 1 - labels[-1]], [1] * 9)[1]
    first, second = (places(each, held_of(each, Retention(0.5, 0.5)))[0] for each in (before, after))
    assert first == second  # of one share for both classes, labels do not matter, nor do other users
    more = places(before, held_of(before, Retention(0.8, 0.8)))[0]
    assert set(first) < set(more)
    longer = labelled([*labels, 1, 0])[1]
    assert [place for place in places(longer, held_of(longer, Retention(0.5, 0.5)))[0] if place < 40] == first


def test_the_share_is_kept_of_each_class_and_another_seed_keeps_others() -> None:
    features = features_of([400] * 50, [0] * 50)
    label = features.dataset.label > 0
    held = held_of(features, Retention(keep_positives=0.3, keep_negatives=0.8)).mask
    assert held[label].mean() == pytest.approx(0.3, abs=0.02)
    assert held[~label].mean() == pytest.approx(0.8, abs=0.02)
    other = held_of(features, Retention(keep_positives=0.3, keep_negatives=0.8), seed=1).mask
    assert (held != other).mean() == pytest.approx(0.4 * 0.42 + 0.6 * 0.32, abs=0.02)


# --------------------------------------------------------------------------------------- in the engines


@pytest.fixture(scope="module")
def features() -> Features:
    return features_of(TRAIN, TEST)


@pytest.mark.parametrize(
    ("retention", "options", "model"),
    [
        *((HALF, {}, model) for model in MODELS),
        *((LATEST, LARGE, model) for model in ODD_MODELS[-3:]),
        *(pytest.param(LATEST, LARGE, model, marks=pytest.mark.exhaustive) for model in ODD_MODELS[:-3]),
        *(pytest.param(LATEST, LARGE, model, marks=pytest.mark.exhaustive) for model in MODELS),
        *(pytest.param(HALF, {}, model, marks=pytest.mark.exhaustive) for model in ODD_MODELS),
    ],
    ids=lambda value: "large" if value == LARGE else str(value) if value else "small",
)
def test_both_engines_tune_on_what_is_held(retention: Retention, options: dict[str, Any], model: str) -> None:
    features = features_of(TRAIN, TEST, **options)
    published = publish(model, features.dataset.schema)
    own = Features(features.dataset, features.split, features.users, published.model.history_length)
    for strategy in (Everything(), LabelCorrection()):
        assert_equal_to_the_loop(published, strategy, own.keeping(retention, 3), Recipe(3, 0.1, 2))


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_the_loop_tunes_as_if_there_had_never_been_other_samples(optimiser: Optimiser) -> None:
    """Logistic regression has no history, so a data set of what is held is the same to it."""
    features = features_of([20, 31], [4, 6])
    published, recipe = publish("lr", features.dataset.schema), Recipe(3, 0.05, 2, 8, optimiser)
    thinned = features.keeping(HALF, 3)
    assert thinned.held is not None
    counts = thinned.held.samples
    assert (counts > 0).all()
    assert (counts < [20, 31]).all()
    stay = np.flatnonzero(thinned.held.mask | (np.arange(61) >= 20) & (np.arange(61) < 24) | (np.arange(61) >= 55))
    dataset = features.dataset
    less = replace(
        dataset,
        offsets=np.array([0, counts[0] + 4, counts.sum() + 10]),
        **{name: getattr(dataset, name)[stay] for name in ("item", "label", "time")},
    )
    without = Features(less, cut(less, counts.tolist()), range(2), 0)
    for user in range(2):
        for one, other in zip(
            loop.fine_tune(published, FineTuning(), thinned, user, recipe),
            loop.fine_tune(published, FineTuning(), without, user, recipe),
            strict=True,
        ):
            assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@THINNED
def test_rows_tell_of_what_is_held_and_score_the_same_samples(retention: Retention, features: Features) -> None:
    published, todo = publish("din[history=5]", features.dataset.schema), task()
    thinned = features.keeping(retention, todo.seed)
    assert thinned.held is not None
    whole, found = (rows(published, FineTuning(), each, todo) for each in (features, thinned))
    held, label = thinned.held, features.dataset.label
    starts, stops = features.split.bounds("train")
    positives = [int(label[a:b][held.of(np.arange(a, b))].sum()) for a, b in zip(starts, stops, strict=True)]
    assert found["local_samples"].tolist() == held.samples.tolist()
    assert found["local_positives"].tolist() == positives
    for name in ("samples", "positives"):
        np.testing.assert_array_equal(found[name], whole[name])
    nobody = held.samples == 0
    untuned = rows(published, NoFineTuning(), features, todo)
    np.testing.assert_array_equal(found["log_loss"][nobody], untuned["log_loss"][nobody])


@THINNED
def test_the_published_model_scores_as_before_since_histories_stay(retention: Retention, features: Features) -> None:
    for part in ("train", "test"):
        todo: Task = replace(task(), part=part)
        for model in MODELS:
            published = publish(model, features.dataset.schema)
            whole, found = (
                rows(published, NoFineTuning(), each, todo) for each in (features, features.keeping(retention, 5))
            )
            for name in ("samples", "positives", "auc", "log_loss", "predicted_clicks"):
                np.testing.assert_array_equal(found[name], whole[name], err_msg=name)


def test_losing_nothing_gives_the_bits_of_never_asking(features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    assert_same_bits(
        rows(published, Everything(), features.keeping(Retention(most=10**6), 5), task()),
        rows(published, Everything(), features, task()),
        "most of a million",
    )


@pytest.mark.parametrize(
    ("model", "options"),
    [(MODELS[0], {}), (MODELS[2], {}), (ODD_MODELS[0], LARGE), (ODD_MODELS[1], LARGE)],
    ids=lambda value: "large" if value == LARGE else None if value else "small",
)
@pytest.mark.parametrize("retention", [HALF, LATEST, NOTHING], ids=str)
def test_the_rows_are_the_same_bits_for_any_cohorts_and_partitions(
    model: str, options: dict[str, Any], retention: Retention
) -> None:
    dataset = world([a + b for a, b in zip(TRAIN, TEST, strict=True)], **options)
    published, parts = publish(model, dataset.schema), cut(dataset, TRAIN)
    length = published.model.history_length
    whole_features = Features(dataset, parts, range(dataset.users), length).keeping(retention, 5)
    whole = rows(published, Everything(), whole_features, task())
    for size in (1, 7):
        found = rows(published, Everything(), whole_features, task(), cohort_size=size)
        assert_same_bits(found, whole, f"cohorts of {size}")
    for count in (3, dataset.users):
        clients = [
            rows(
                published,
                Everything(),
                Features(dataset, parts, partition(dataset.users, index, count), length).keeping(retention, 5),
                task(),
            )
            for index in range(count)
        ]
        assert_same_bits(in_order(clients), whole, f"{count} partitions")


def test_a_cohort_has_most_steps_first_and_no_step_without_samples() -> None:
    # Who had most samples has fewest left.
    thinned = labelled([*[1] * 19, 0], [0] * 10, [*[1] * 9, *[0] * 6])[1].keeping(NO_POSITIVES, 3)
    assert thinned.held is not None
    assert thinned.held.samples.tolist() == [1, 10, 6]
    published = publish("lr", thinned.dataset.schema)
    for users in gather(thinned, 4, lambda users, length: 32):
        steps = -(-thinned.held.samples[users] // 4)
        assert (np.diff(steps) <= 0).all()
        mask = Cohort.build(thinned, users, "test", 4, published.model.reads).train.mask[: len(users)]
        assert mask.sum(1).tolist() == thinned.held.samples[users].tolist()
        assert (mask.int().diff(dim=1) <= 0).all()  # what is held comes first
    assert_equal_to_the_loop(published, FineTuning(), thinned, Recipe(3, 0.1, 2, batch_size=4))


def test_local_ctr_is_of_what_is_held(features: Features) -> None:
    class Spy(ClientStrategy):
        name = "spy"
        seen: list[list[float]] = []  # noqa: RUF012

        def targets(self, local, published: Published):  # type: ignore[no-untyped-def]
            self.seen.append(local.ctr[:, 0].tolist())
            return local.labels

    published = publish("lr", features.dataset.schema)
    rows(published, Spy(), features.keeping(NO_POSITIVES, 5), task())
    assert {value for seen in Spy.seen for value in seen} == {0.0}
