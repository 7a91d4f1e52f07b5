import copy

import numpy as np
import pytest
import torch

from fedctr.features import Features
from fedctr.loop import fine_tune, score
from fedctr.models.model import Model
from fedctr.published import Published
from fedctr.randomness import permutations
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy
from strategies.fine_tuning import FineTuning
from strategies.label_correction import LabelCorrection
from tests.engine import HeadOnly, Proximal, features_of, publish

Weights = dict[str, torch.Tensor]
pytestmark = pytest.mark.usefixtures("one_thread")


def state(model: Model) -> Weights:
    return copy.deepcopy(model.state_dict())


def tuned(published: Published, strategy: ClientStrategy, features: Features, user: int, recipe: Recipe) -> Weights:
    """The parameters after the last epoch."""
    *_, model = fine_tune(published, strategy, features, user, recipe)
    return state(model)


@pytest.fixture
def features() -> Features:
    return features_of([10, 0, 1], [4, 4, 4])


@pytest.fixture
def published(features: Features) -> Published:
    return publish("lr", features.dataset.schema, global_ctr=0.2)


def bias_after_one_step(published: Published, features: Features, labels: list[float], positions: list[int]) -> float:
    """Logistic regression's bias moves by the rate times the mean of label minus prediction."""
    with torch.no_grad():
        batch = features.batch(np.array([positions]), np.array([[0]]))
        predictions = published.model(batch)[0].double().sigmoid().numpy()
    return float(published.model.state_dict()["bias"]) + 0.5 * float(np.mean(np.array(labels) - predictions))


def test_a_step_on_all_samples_by_hand(published: Published, features: Features) -> None:
    found = tuned(published, FineTuning(), features, 0, Recipe(0, 0.5, 1, batch_size=10))
    labels = features.dataset.label[:10].astype(float).tolist()
    assert found["bias"].item() == pytest.approx(bias_after_one_step(published, features, labels, list(range(10))))


def test_a_step_on_corrected_labels_by_hand(published: Published, features: Features) -> None:
    found = tuned(published, LabelCorrection(), features, 0, Recipe(0, 0.5, 1, batch_size=10))
    plain = features.dataset.label[:10].astype(float)
    ctr = plain.mean()
    assert ctr > 0.2  # the published global CTR: the positives give way
    labels = (plain * 0.2 / ctr).tolist()
    assert found["bias"].item() == pytest.approx(bias_after_one_step(published, features, labels, list(range(10))))


def test_minibatches_follow_the_users_own_shuffle_and_the_last_may_be_smaller(
    published: Published, features: Features
) -> None:
    model = copy.deepcopy(published.model)
    for epoch in (1, 2):
        order = permutations(7, f"shuffle {epoch}", np.array([0]), np.ones((1, 10), dtype=bool))[0]
        for positions in (order[:4], order[4:8], order[8:]):
            logits = model(features.batch(positions[None], np.array([[0]])))[0]
            labels = torch.from_numpy(features.dataset.label[positions].astype(np.float32))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
            gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    if gradient is not None:
                        parameter.sub_(0.5 * gradient)
    found = tuned(published, FineTuning(), features, 0, Recipe(7, 0.5, 2, batch_size=4))
    for name, expected in state(model).items():
        torch.testing.assert_close(found[name], expected, rtol=0, atol=1e-6)


def test_the_published_model_is_never_changed(published: Published, features: Features) -> None:
    before = state(published.model)
    after = tuned(published, FineTuning(), features, 0, Recipe(0, 0.5, 2))
    assert all(torch.equal(before[name], value) for name, value in published.model.state_dict().items())
    assert not torch.equal(before["bias"], after["bias"])
    assert all(parameter.requires_grad for parameter in published.model.parameters())


def test_epochs_go_on_from_one_another(published: Published, features: Features) -> None:
    steps = [state(model) for model in fine_tune(published, FineTuning(), features, 0, Recipe(0, 0.5, 3))]
    assert len(steps) == 3
    for epochs in (1, 2, 3):
        alone = tuned(published, FineTuning(), features, 0, Recipe(0, 0.5, epochs))
        assert all(torch.equal(alone[name], value) for name, value in steps[epochs - 1].items())


def test_seed_and_user_determine_everything(published: Published, features: Features) -> None:
    first, again, other = (
        tuned(published, FineTuning(), features, 0, Recipe(seed, 0.5, 1, batch_size=3)) for seed in (1, 1, 2)
    )
    assert torch.equal(first["bias"], again["bias"])
    assert not torch.equal(first["bias"], other["bias"])


def test_a_user_without_samples_keeps_the_published_model(published: Published, features: Features) -> None:
    for strategy in (FineTuning(), LabelCorrection(variant="anchored"), Proximal()):
        found = tuned(published, strategy, features, 1, Recipe(0, 0.5, 2))
        assert all(torch.equal(found[name], value) for name, value in published.model.state_dict().items())


def test_only_trainable_parameters_change(published: Published, features: Features) -> None:
    found, before = tuned(published, HeadOnly(), features, 0, Recipe(0, 0.5, 1)), published.model.state_dict()
    assert {name for name in found if not torch.equal(found[name], before[name])} == {"bias"}


def test_a_penalty_by_hand(published: Published, features: Features) -> None:
    """With nothing but a strong pull to the origin, a step of rate r and strength s keeps 1 - r s of the way gone."""
    recipe = Recipe(0, 0.1, 2, batch_size=10)
    free = [state(model)["bias"].item() for model in fine_tune(published, HeadOnly(), features, 0, recipe)]

    class Held(Proximal):
        def trainable(self, parameter: str) -> bool:
            return parameter == "bias"

    held = [state(model)["bias"].item() for model in fine_tune(published, Held(4.0), features, 0, recipe)]
    origin = float(published.model.state_dict()["bias"])
    assert held[0] == free[0]  # at the origin nothing pulls
    assert held[1] == pytest.approx(free[1] - 0.1 * 4.0 * (free[0] - origin), abs=1e-6)


def test_scores_are_the_models_logits(published: Published, features: Features) -> None:
    rows = np.arange(10, 14)
    with torch.no_grad():
        expected = published.model(features.batch(rows[None], np.array([[0]])))[0].numpy()
    np.testing.assert_array_equal(score(published.model, features, 0, "test"), expected)
    assert score(published.model, features, 1, "train").shape == (0,)
