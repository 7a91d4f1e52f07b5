from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score
from torch import Tensor

from fedctr import loop
from fedctr import personalise as module
from fedctr.data.reading import Reading
from fedctr.data.split import Days, split
from fedctr.data.synthetic import Synthetic
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.judgement import Columns
from fedctr.personalise import UserError, personalise
from fedctr.published import Published
from fedctr.recipe import Optimiser, Recipe
from fedctr.strategy import ClientStrategy, Local
from strategies.fine_tuning import FineTuning
from strategies.label_correction import LabelCorrection
from strategies.no_fine_tuning import NoFineTuning
from strategies.pairwise import Pairwise
from tests.engine import features_of, in_order, publish, rows, task

pytestmark = pytest.mark.usefixtures("one_thread")

NAN = float("nan")
TRAIN, TEST = [12, 0, 40, 7, 3, 33], [9, 5, 33, 1, 6, 0]
VICTIM = 3  # the only user with seven samples


@pytest.fixture
def features() -> Features:
    return features_of(TRAIN, TEST, seed=2)


@pytest.fixture
def published(features: Features) -> Published:
    return publish("din[history=5]", features.dataset.schema)


# ------------------------------------------------------------------------------------------ the metrics


def test_rows_are_what_scikit_learn_says_of_the_plain_loops_logits(published: Published, features: Features) -> None:
    todo = task(rates=(0.05, 0.2), epochs=(1,))
    found = rows(published, FineTuning(), features, todo)
    expected = []
    for user in range(6):
        start, stop = (int(edge[user]) for edge in features.split.bounds("test"))
        labels = features.dataset.label[start:stop]
        for rate in todo.learning_rates:
            for epoch, model in enumerate(
                loop.fine_tune(published, FineTuning(), features, user, Recipe(todo.seed, rate, 1)), start=1
            ):
                if epoch in todo.epochs:
                    logits = loop.score(model, features, user, "test").astype(np.float64)
                    expected.append((user, rate, epoch, *by_scikit_learn(labels, logits)))
    names = ("user", "learning_rate", "epochs", "auc", "log_loss", "ndcg_at_10", "predicted_clicks")
    for name, values in zip(names, zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(found[name].astype(float), values, rtol=0, atol=2e-5, err_msg=name)
    assert not found["diverged"].any()
    assert np.isfinite(found["auc"]).sum() >= 6


def by_scikit_learn(labels: np.ndarray, logits: np.ndarray) -> tuple[float, float, float, float]:
    """AUC, log loss, NDCG@10 and predicted clicks of one user."""
    probabilities = 1 / (1 + np.exp(-logits))
    return (
        roc_auc_score(labels, logits) if 0 < labels.sum() < len(labels) else NAN,
        log_loss(labels, probabilities, labels=[0, 1]) if len(labels) else NAN,
        NAN if not labels.any() else ndcg_score([labels], [logits], k=10) if len(labels) > 1 else 1.0,
        probabilities.sum(),
    )


def test_rows_count_the_samples_of_both_parts(published: Published, features: Features) -> None:
    found = rows(published, FineTuning(), features, task())
    assert found["local_samples"].tolist() == TRAIN
    assert found["samples"].tolist() == TEST
    for name, part in (("local_positives", "train"), ("positives", "test")):
        starts, stops = features.split.bounds(part)  # type: ignore[arg-type]
        expected = [int(features.dataset.label[a:b].sum()) for a, b in zip(starts, stops, strict=True)]
        assert found[name].tolist() == expected, name
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(found, 6)


def test_users_of_one_class_have_no_auc_but_a_log_loss(published: Published, features: Features) -> None:
    labels = features.dataset.label.copy()
    starts, stops = features.split.bounds("test")
    labels[starts[0] : stops[0]], labels[starts[2] : stops[2]] = 0, 1
    one_class = Features(
        replace(features.dataset, label=labels), features.split, features.users, features.history_length
    )
    found = rows(published, FineTuning(), one_class, task())
    assert np.isnan(found["auc"][[0, 2, 3, 5]]).all()  # one class, one class, one sample, none
    assert np.isfinite(found["log_loss"][[0, 1, 2, 3, 4]]).all()
    assert np.isnan(found["log_loss"][5])
    assert found["predicted_clicks"][5] == 0
    assert not found["diverged"].any()


def test_the_part_to_score_is_the_one_asked_for(published: Published, features: Features) -> None:
    found = rows(published, FineTuning(), features, replace(task(), part="train"))
    assert found["samples"].tolist() == TRAIN
    assert found["positives"].tolist() == found["local_positives"].tolist()


def test_a_trial_is_the_same_whatever_else_is_tried(published: Published, features: Features) -> None:
    grid = rows(published, Pairwise(), features, task(rates=(0.05, 0.2), epochs=(1, 2)))
    assert len(grid["user"]) == 6 * 4
    for rate, epochs in ((0.05, 2), (0.2, 1)):
        alone = rows(published, Pairwise(), features, task(rates=(rate,), epochs=(epochs,)))
        chosen = (grid["learning_rate"] == rate) & (grid["epochs"] == epochs)
        for name, values in alone.items():
            np.testing.assert_array_equal(values, grid[name][chosen], err_msg=name)


def test_another_seed_gives_other_shuffles(published: Published, features: Features) -> None:
    few = task(batch_size=5)
    first, second = (rows(published, FineTuning(), features, replace(few, seed=seed))["log_loss"] for seed in (1, 2))
    assert (first != second)[[0, 2, 3]].all()  # those with more than a batch of samples, and a test part
    assert first[1] == second[1]


def test_the_work_can_be_ended_between_cohorts(published: Published, features: Features) -> None:
    def go_on() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        personalise(published, FineTuning(), features, task(), cohort_size=2, go_on=go_on)


def test_cohorts_are_as_large_as_the_cache_holds_unless_told(
    published: Published, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def two(working_set: int, device: str) -> int:
        asked.append(working_set)
        return 2

    monkeypatch.setattr("fedctr.engines.takes", lambda *task: False)  # the compiled engine has no need to
    monkeypatch.setattr("fedctr.engines.users_at_once", two)
    calls: list[int] = []
    found = in_order([personalise(published, FineTuning(), features, task(), go_on=lambda: calls.append(1))])
    assert len(asked) == 2  # once for each padded length
    network = [value for name, value in published.model.named_parameters() if name.startswith("deep")]
    assert min(asked) > 4 * sum(value.numel() for value in network)  # bytes
    assert len(calls) == 3  # of the users with one block of samples, and once for those with two
    told = rows(published, FineTuning(), features, task(), cohort_size=2)
    assert len(asked) == 2
    for name, values in found.items():
        np.testing.assert_array_equal(values, told[name], err_msg=name)


@pytest.mark.parametrize("together", [1, 20, 1 << 30])
def test_it_does_not_matter_how_many_cohorts_are_measured_together(
    together: int, published: Published, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    todo = task(rates=(0.05, 0.2), epochs=(1, 2))
    expected = rows(published, FineTuning(), features, todo, cohort_size=2)
    measured: list[int] = []
    measure = module._measure

    def counting(trials: list[module._Scored]) -> Columns:
        measured.append(len(trials))
        return measure(trials)

    monkeypatch.setattr("fedctr.personalise.MEASURED_TOGETHER", together)
    monkeypatch.setattr("fedctr.personalise._measure", counting)
    found = rows(published, FineTuning(), features, todo, cohort_size=2)
    assert sum(measured) == 3 * 4  # cohorts and trials
    assert (len(measured) == 1) == (together == 1 << 30)
    for name, values in found.items():
        assert values.tobytes() == expected[name].tobytes(), name


# ------------------------------------------------------------------------------------------- divergence


def test_a_user_whose_logits_are_not_finite_is_flagged_and_the_others_are_not(features: Features) -> None:
    published = publish("wide-deep[hidden=[16],history=5]", features.dataset.schema)
    found = rows(published, FineTuning(), features, task(rates=(1e12,), epochs=(3,)))
    tuned = np.array(TRAIN) > 0
    assert found["diverged"][[0, 2]].all()
    assert not found["diverged"][~tuned].any()
    # A model that says nothing: AUC one half (where there is one), log loss ln 2, every second sample a click.
    lost = found["diverged"]
    assert set(found["auc"][lost][~np.isnan(found["auc"][lost])]) <= {0.5}
    scored = lost & np.greater(found["samples"], 0)
    np.testing.assert_allclose(found["log_loss"][scored], np.log(2))
    np.testing.assert_array_equal(found["predicted_clicks"][lost], found["samples"][lost] / 2)
    untouched = rows(published, FineTuning(), features, task())
    for name in ("auc", "log_loss"):
        np.testing.assert_array_equal(found[name][~tuned], untouched[name][~tuned])


# ------------------------------------------------------------------------------------ hooks that misbehave


def victim(local: Local) -> Tensor:
    """Whether a row is the user with seven local samples, (users, 1)."""
    return local.samples == 7


class Raises(ClientStrategy):
    name = "raises"

    def targets(self, local: Local, published: Published) -> Tensor:
        if victim(local).any():
            raise KeyError("no such thing")
        return local.labels


class NoWords(Raises):
    def targets(self, local: Local, published: Published) -> Tensor:
        assert not victim(local).any()
        return local.labels


class NaNTargets(Raises):
    def targets(self, local: Local, published: Published) -> Tensor:
        return torch.where(victim(local), NAN, local.labels)


class InfiniteTargets(Raises):
    def targets(self, local: Local, published: Published) -> Tensor:
        return torch.where(victim(local), float("inf"), local.labels)


class NaNLogits(FineTuning):
    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        return torch.where(victim(local), NAN, logits)


class NaNLoss(FineTuning):
    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        return super().loss(logits, targets, local, published) + torch.where(victim(local), NAN, 0.0)


class WideTargets(Raises):
    def targets(self, local: Local, published: Published) -> Tensor:
        return local.labels[:, :1] if victim(local).any() else local.labels


class OneLogit(FineTuning):
    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        return logits.mean(1, keepdim=True) if victim(local).any() else logits


class MeanLoss(FineTuning):
    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        losses = super().loss(logits, targets, local, published)
        return losses.mean() if victim(local).any() else losses


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (Raises(), r"KeyError: 'no such thing'"),
        (NoWords(), r"AssertionError"),
        (NaNTargets(), r"ValueError: targets returned NaN or an infinite value"),
        (InfiniteTargets(), r"ValueError: targets returned NaN or an infinite value"),
        (NaNLogits(), r"ValueError: logits returned NaN"),
        (NaNLoss(), r"ValueError: loss returned NaN"),
        (WideTargets(), r"ValueError: targets returned shape \(32, 1\), expected \(32, 32\)"),
        (OneLogit(), r"ValueError: logits returned shape \(32, 1\), expected \(32, 32\)"),
        (MeanLoss(), r"ValueError: loss returned shape \(\), expected \(32, 32\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ClientStrategy) else "",
)
@pytest.mark.parametrize("cohort_size", [1, 4, 32])
def test_a_failing_hook_is_reported_with_the_raw_id_of_the_user(
    strategy: ClientStrategy, message: str, cohort_size: int, features: Features
) -> None:
    published = publish("lr", features.dataset.schema)
    with pytest.raises(UserError, match=f"^{message}") as caught:
        personalise(published, strategy, features, task(), cohort_size=cohort_size)
    assert caught.value.user == f"u{VICTIM}"


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
def test_a_penalty_of_a_wrong_shape_is_refused(shape: tuple[int, ...], features: Features) -> None:
    class Odd(FineTuning):
        def penalty(self, parameters: object, origin: object) -> Tensor:
            return torch.zeros(shape)

    with pytest.raises(UserError, match="ValueError: penalty returned shape"):
        personalise(publish("lr", features.dataset.schema), Odd(), features, task())


def test_a_failure_that_no_user_has_alone_still_names_its_cohort(features: Features) -> None:
    class Crowded(FineTuning):
        def targets(self, local: Local, published: Published) -> Tensor:
            if len(torch.unique(local.samples)) > 1:
                raise RuntimeError("too many")
            return local.labels

    with pytest.raises(UserError, match="RuntimeError: too many") as caught:
        personalise(publish("lr", features.dataset.schema), Crowded(), features, task())
    assert caught.value.user == "u0 (or one that shares its cohort)"


def test_an_engine_that_cannot_be_compiled_is_tried_once_and_blamed_on_nobody(
    features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fine_tune(*_: object) -> None:
        tried.append(1)
        raise FedctrError("the engine cannot be compiled")

    monkeypatch.setattr("fedctr.fused.kernel.fine_tune", fine_tune)
    with pytest.raises(FedctrError, match=r"^the engine cannot be compiled$"):
        personalise(publish("lr", features.dataset.schema), FineTuning(), features, task())
    assert len(tried) == 1


def test_nan_from_a_model_that_is_diverging_is_no_fault_of_the_hook(features: Features) -> None:
    published = publish("wide-deep[hidden=[16],history=5]", features.dataset.schema)
    found = rows(published, Pairwise(), features, task(rates=(1e12,), epochs=(3,)))
    assert found["diverged"].any()


def test_the_error_behind_is_kept(features: Features) -> None:
    with pytest.raises(UserError) as caught:
        personalise(publish("lr", features.dataset.schema), Raises(), features, task())
    assert isinstance(caught.value.__cause__, KeyError)


# --------------------------------------------------------------------------- users without training samples


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("model", ["lr", "din[history=5]"])
def test_users_whose_first_day_is_the_test_day_are_scored_with_the_published_model(
    model: str, optimiser: Optimiser
) -> None:
    dataset = Synthetic(users=40, items=30).read(None, Reading())
    parts = split(dataset, Days(validation=3, test=30))
    own = Features(dataset, parts, range(40), 5)
    published, todo = publish(model, dataset.schema), replace(task(), optimiser=optimiser)
    untrained = parts.train_end == parts.start
    scored = parts.stop > parts.validation_end
    assert 5 < untrained.sum() < 35
    assert (untrained & scored).sum() > 3
    found, untuned = (rows(published, strategy, own, todo) for strategy in (LabelCorrection(), NoFineTuning()))
    for columns in (found, untuned):
        assert not columns["local_samples"][untrained].any()
        assert not columns["local_positives"][untrained].any()
        assert np.isfinite(columns["log_loss"][scored]).all()
        assert not columns["diverged"].any()
    np.testing.assert_array_equal(found["log_loss"][untrained], untuned["log_loss"][untrained])
    assert (found["log_loss"] != untuned["log_loss"])[scored & ~untrained].all()
    for size in (1, 7):
        again = rows(published, LabelCorrection(), own, todo, cohort_size=size)
        assert all(again[name].tobytes() == values.tobytes() for name, values in found.items())


def test_a_partition_in_which_nobody_has_a_training_sample(published: Published) -> None:
    alone = features_of([0, 0, 0], [9, 0, 4], seed=2)
    found = rows(published, FineTuning(), alone, task())
    np.testing.assert_array_equal(found["log_loss"], rows(published, NoFineTuning(), alone, task())["log_loss"])
    assert np.isfinite(found["log_loss"]).tolist() == [True, False, True]
