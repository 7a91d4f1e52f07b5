import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss

from fedctr import loop
from fedctr.composition import strategy_of
from fedctr.data.partition import partition
from fedctr.features import Features
from fedctr.holdout import held_out
from fedctr.personalise import personalise
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, Kept, Values
from strategies.fine_tuning import FineTuning
from strategies.gate import Gate
from strategies.label_correction import LabelCorrection
from strategies.no_fine_tuning import NoFineTuning
from tests.engine import features_of, in_order, publish, rows, task

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


def by_the_loop(published: Published, strategy: ClientStrategy, features: Features, user: int) -> list[bool]:
    """Whether a user keeps the tuned model in each trial: one user after the other, log loss by scikit-learn."""
    dry = held_out(features, 0.2)
    first, stop = (bound[user] for bound in dry.split.bounds("validation"))
    labels = features.dataset.label[first:stop]
    if not len(labels):
        return [False] * len(TRIALS)

    def loss(model: object) -> float:
        logits = loop.score(model, dry, user, "validation").astype(float)  # type: ignore[arg-type]
        return float(log_loss(labels, 1 / (1 + np.exp(-logits)), labels=[0, 1]))

    found = []
    for rate in WORK.learning_rates:
        models = loop.fine_tune(published, strategy, dry, user, Recipe(WORK.seed, rate, max(WORK.epochs)))
        found += [loss(model) < loss(published.model) for epoch, model in enumerate(models, 1) if epoch in WORK.epochs]
    return found


@pytest.mark.parametrize(
    "spec", ["gate[by=log-loss]", "label-correction+gate[by=log-loss]", "pairwise+gate[by=log-loss]"]
)
def test_a_user_keeps_what_the_plain_loop_would_keep(spec: str, published: Published, features: Features) -> None:
    strategy = strategy_of(spec)
    found = rows(published, strategy, features, WORK)
    ungated = spec.replace("+gate[by=log-loss]", "").replace("gate[by=log-loss]", "fine-tuning")
    tuned = rows(published, strategy_of(ungated), features, WORK)
    untuned = rows(published, NoFineTuning(), features, WORK)
    keep = np.array([by_the_loop(published, strategy, features, user) for user in features.users])
    assert 0 < keep.mean() < 1
    for row, (user, trial) in enumerate((user, trial) for user in features.users for trial in range(len(TRIALS))):
        expected = {name: values[row] for name, values in tuned.items()}
        if not keep[user, trial]:
            expected = {name: values[user] for name, values in untuned.items()}
        expected["learning_rate"], expected["epochs"] = TRIALS[trial]
        for name, values in found.items():
            np.testing.assert_array_equal(values[row], expected[name], err_msg=f"{name} of user {user}, {trial}")
            assert values.dtype == tuned[name].dtype


def test_test_samples_have_no_say(published: Published, features: Features) -> None:
    asked: list[dict[str, np.ndarray]] = []

    class Spy(FineTuning):
        def held_out(self) -> float:
            return 0.2

        def keep(self, tuned: dict[str, Values], published: dict[str, Values]) -> Kept:  # type: ignore[override]
            asked.append({**tuned, **{f"published_{name}": values for name, values in published.items()}})
            return np.ones(len(tuned["auc"]), dtype=bool)

    labels = features.dataset.label.copy()
    for first, stop in zip(*features.split.bounds("test"), strict=True):
        labels[first:stop] = 1 - labels[first:stop]
    other = Features.build(
        replace(features.dataset, label=labels), features.split, features.users, features.histories.length
    )
    kept = rows(published, Spy(), features, WORK)
    rows(published, Spy(), other, WORK)
    first, second = asked
    for name, values in first.items():
        assert values.shape == (len(features.users) * len(TRIALS),)
        assert values.tobytes() == second[name].tobytes(), name
    assert first["samples"].reshape(10, 4)[:, 0].tolist() == [0, 0, 1, 2, 6, 8, 12, 14, 6, 18]
    for name, values in rows(published, FineTuning(), features, WORK).items():
        assert values.tobytes() == kept[name].tobytes(), name  # who keeps it is tuned on all local samples


@pytest.mark.parametrize("spec", ["gate[by=log-loss]", "label-correction[variant=anchored]+gate"])
def test_the_rows_are_the_same_bits_for_any_cohorts_and_partitions(
    spec: str, published: Published, features: Features
) -> None:
    whole = rows(published, strategy_of(spec), features, WORK)
    parts = [
        rows(
            published,
            strategy_of(spec),
            Features.build(features.dataset, features.split, partition(len(TRAIN), index, 3), 5),
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
        (None, "NoneType"),
        ([True] * 40, "list"),
        (np.array([True]), "bool (1,)"),
        (np.ones(40), "float64 (40,)"),
        (np.ones((40, 1), dtype=bool), "bool (40, 1)"),
    ],
)
def test_an_answer_that_is_no_truth_value_for_each_row_is_refused(
    answer: object, found: str, published: Published, features: Features
) -> None:
    class Odd(Gate):
        def keep(self, tuned: object, published: object) -> Kept:
            return answer  # type: ignore[return-value]

    with pytest.raises(ValueError, match=re.escape(f"keep returned {found}, expected bool (40,)")):
        personalise(published, Odd(), features, WORK)


def test_a_strategy_that_holds_nothing_out_is_not_asked(published: Published, features: Features) -> None:
    class Silent(LabelCorrection):
        def keep(self, tuned: object, published: object) -> Kept:
            raise AssertionError

    found = rows(published, Silent(), features, WORK)
    assert len(found["user"]) == 40
