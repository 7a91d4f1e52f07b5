import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss
from torch import Tensor

from fedctr import loop
from fedctr.composition import strategy_of
from fedctr.data.partition import partition
from fedctr.data.split import Part
from fedctr.features import Features
from fedctr.holdout import chosen_of, held_out
from fedctr.judgement import Integers, Judged
from fedctr.personalise import UserError, personalise
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local
from strategies.fine_tuning import FineTuning
from strategies.gate import Gate
from strategies.label_correction import LabelCorrection
from strategies.no_fine_tuning import NoFineTuning
from tests.engine import features_of, in_order, judged, publish, rows, task

NAN = float("nan")
pytestmark = pytest.mark.usefixtures("one_thread")

# None, too few to hold one out, with and without a batch to spare.
TRAIN, TEST = [0, 4, 5, 12, 33, 40, 64, 70, 31, 90], [9, 5, 33, 1, 6, 0, 8, 12, 20, 15]
WORK = task(rates=(0.1, 0.3), epochs=(1, 3))
TRIALS = [(rate, epochs) for rate in WORK.learning_rates for epochs in WORK.epochs]


@pytest.fixture
def features() -> Features:
    return features_of(TRAIN, TEST, seed=2)


@pytest.fixture
def published(features: Features) -> Published:
    return publish("din[history=5]", features.dataset.schema)


def test_the_latest_samples_are_held_out_rounded_down(features: Features) -> None:
    dry = held_out(features, 0.2)
    (first, end), (after, last) = dry.split.bounds("train"), dry.split.bounds("validation")
    assert (end - first).tolist() == [0, 4, 4, 10, 27, 32, 52, 56, 25, 72]
    assert np.array_equal(end, after)
    assert np.array_equal(last, features.split.bounds("train")[1])
    assert not (dry.split.bounds("test")[1] - dry.split.bounds("test")[0]).any()
    assert dry.users == features.users


def by_the_loop(
    published: Published, strategy: ClientStrategy, features: Features, user: int
) -> list[tuple[int, float]]:
    """What a user takes after each number of epochs, and its log loss on test: the plain loop's, and scikit-learn's."""
    dry = held_out(features, 0.2)

    def losses(which: Features, part: Part, epochs: int) -> list[float]:
        first, stop = (bound[user] for bound in which.split.bounds(part))
        labels = which.dataset.label[first:stop]
        found = loop.candidates(published, strategy, which, user, Recipe(WORK.seed, 0.3, epochs), part).astype(float)
        return [log_loss(labels, 1 / (1 + np.exp(-each)), labels=[0, 1]) if len(labels) else NAN for each in found]

    taken = []
    for epochs in WORK.epochs if strategy.tunes else (0,):
        seen = judged(log_loss=[[loss] for loss in losses(dry, "validation", epochs)])
        chosen = int(strategy.choose(seen)[0])
        taken.append((chosen, losses(features, "test", epochs)[chosen]))
    return taken


@pytest.mark.parametrize(
    "spec", ["gate[by=log-loss]", "label-correction+early-stopping[patience=1]", "pairwise+mixture", "knn-per"]
)
def test_a_user_takes_what_the_plain_loop_would_take(spec: str, published: Published, features: Features) -> None:
    strategy, work = strategy_of(spec), replace(WORK, learning_rates=(0.3,))
    found = rows(published, strategy, features, work)
    expected = np.array([by_the_loop(published, strategy, features, user) for user in features.users])
    assert len(np.unique(expected[..., 0])) > 1
    np.testing.assert_allclose(found["log_loss"].astype(float), expected[..., 1].ravel(), rtol=0, atol=2e-5)


class Tuned(Gate):
    """Shown everything, it takes the tuned model all the same."""

    def choose(self, judged: Judged) -> Integers:
        return np.ones(judged.samples.shape, dtype=np.int64)


def test_test_samples_have_no_say(published: Published, features: Features) -> None:
    asked: list[Judged] = []

    class Spy(Tuned):
        def choose(self, judged: Judged) -> Integers:
            asked.append(judged)
            return super().choose(judged)

    labels = features.dataset.label.copy()
    for first, stop in zip(*features.split.bounds("test"), strict=True):
        labels[first:stop] = 1 - labels[first:stop]
    other = Features(replace(features.dataset, label=labels), features.split, features.users, features.history_length)
    kept = rows(published, Spy(), features, WORK)
    calls = len(asked)
    rows(published, Spy(), other, WORK)
    for first, second in zip(asked[:calls], asked[calls:], strict=True):
        assert first.log_loss.shape == (2, len(first.samples))
        for name in ("samples", "positives", "auc", "log_loss", "ndcg_at_10"):
            assert getattr(first, name).tobytes() == getattr(second, name).tobytes(), name
    held = np.concatenate([each.samples for each in asked[:calls]])
    assert sorted(held) == sorted([0, 0, 1, 2, 6, 8, 12, 14, 6, 18] * len(TRIALS))
    for name, values in rows(published, FineTuning(), features, WORK).items():
        assert values.tobytes() == kept[name].tobytes(), name  # who takes it is tuned on all local samples


@pytest.mark.parametrize("spec", ["gate[by=log-loss]", "label-correction[variant=anchored]+mixture[by=auc]", "knn-per"])
def test_the_rows_are_the_same_bits_for_any_cohorts_and_partitions(
    spec: str, published: Published, features: Features
) -> None:
    whole = rows(published, strategy_of(spec), features, WORK)
    parts = [
        rows(
            published,
            strategy_of(spec),
            Features(features.dataset, features.split, partition(len(TRAIN), index, 3), 5),
            WORK,
        )
        for index in range(3)
    ]
    others = [rows(published, strategy_of(spec), features, WORK, cohort_size=size) for size in (1, 3)]
    for found in [in_order(parts), *others]:
        for name, values in whole.items():
            assert values.tobytes() == found[name].tobytes(), name


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (None, "NoneType, expected int64 (10,)"),
        ([1] * 10, "list, expected int64 (10,)"),
        (np.ones(10, dtype=bool), "bool (10,), expected int64 (10,)"),
        (np.ones((10, 1), dtype=np.int64), "int64 (10, 1), expected int64 (10,)"),
        (np.full(10, 2), "2, expected candidates from 0 to 1"),
        (np.full(10, -1), "-1, expected candidates from 0 to 1"),
    ],
)
def test_an_answer_that_is_no_candidate_for_each_user_is_refused(answer: object, found: str) -> None:
    class Odd(Gate):
        def choose(self, judged: Judged) -> Integers:
            return answer  # type: ignore[return-value]

    with pytest.raises(ValueError, match=re.escape(f"choose returned {found}")):
        chosen_of(Odd(), judged(log_loss=[[0.5] * 10] * 2))


def test_a_choice_that_fails_names_the_user(published: Published, features: Features) -> None:
    class Picky(Gate):
        def choose(self, judged: Judged) -> Integers:
            if 18 in judged.samples:
                raise RuntimeError("too many")
            return super().choose(judged)

    with pytest.raises(UserError, match="RuntimeError: too many") as caught:
        personalise(published, Picky(), features, WORK)
    assert caught.value.user == "u9"


def test_a_strategy_that_holds_nothing_out_is_not_asked(published: Published, features: Features) -> None:
    class Silent(LabelCorrection):
        def choose(self, judged: Judged) -> Integers:
            raise AssertionError

    found = rows(published, Silent(), features, WORK)
    assert len(found["user"]) == 40


def test_with_nothing_held_out_there_is_one_candidate(published: Published, features: Features) -> None:
    class Halfway(FineTuning):
        def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
            return (scored.published + scored.tuned).unsqueeze(0) / 2

    class Both(Gate):
        def held_out(self) -> float:
            return 0.0

    published_only, halfway, tuned = (
        rows(published, each, features, WORK)["log_loss"].astype(float)
        for each in (NoFineTuning(), Halfway(), FineTuning())
    )
    bent = (np.repeat(published_only, len(TRIALS)) + tuned) / 2 - halfway  # log loss is convex in the logits
    assert np.nanmin(bent) >= 0
    assert np.nanmax(bent) > 0
    with pytest.raises(UserError, match="candidates returned 2 to choose from, but held_out keeps nothing to judge"):
        personalise(published, Both(), features, WORK)
