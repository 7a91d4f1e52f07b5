import numpy as np
import pytest
import torch

from fedctr.errors import FedctrError
from fedctr.strategy import minibatch_loss, strategies
from strategies.logit_adjustment import LogitAdjustment
from tests.engine import ANYTHING, local_of


def log_odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def test_the_difference_of_the_priors_is_added_to_every_logit() -> None:
    local = local_of([1, 0], [0, 0], [1, 1], [1, 0, 0, 0], [])
    found = LogitAdjustment().logits(torch.zeros_like(local.labels), local, ANYTHING)
    # One pseudo-sample at one quarter: (1.25 / 3), (0.25 / 3), (2.25 / 3), (1.25 / 5), (0.25 / 1).
    expected = [log_odds(ctr) - log_odds(0.25) for ctr in (1.25 / 3, 0.25 / 3, 2.25 / 3, 0.25, 0.25)]
    torch.testing.assert_close(found, torch.tensor(expected).unsqueeze(1).expand(-1, 4), rtol=0, atol=1e-6)


@pytest.mark.parametrize("strength", [1e-3, 1.0, 1e6])
def test_users_of_one_class_have_finite_logits_and_loss(strength: float) -> None:
    strategy, local = LogitAdjustment(strength), local_of([1] * 50, [0] * 50, [1], [0], [])
    logits = torch.zeros_like(local.labels)
    assert torch.isfinite(strategy.logits(logits, local, ANYTHING)).all()
    assert torch.isfinite(minibatch_loss(strategy, logits, local.labels, local, ANYTHING)).all()


def test_with_many_pseudo_samples_nothing_is_adjusted() -> None:
    local, logits = local_of([1, 1, 0]), torch.tensor([[1.0, 2.0, 3.0]])
    torch.testing.assert_close(LogitAdjustment(1e9).logits(logits, local, ANYTHING), logits)


def test_at_a_calibrated_model_no_gradient_is_left_on_the_prior() -> None:
    # A model that predicts the global CTR everywhere predicts the local one once it is adjusted.
    local = local_of([1, 1, 1, 0])
    bias = torch.tensor(log_odds(0.25), requires_grad=True)
    strategy = LogitAdjustment(1e-6)
    minibatch_loss(strategy, bias.expand(1, 4), local.labels, local, ANYTHING).sum().backward()
    assert bias.grad is not None
    assert bias.grad.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("value", ["0", "-1", "much", "nan", "inf"])
def test_a_strength_that_is_no_number_above_0_is_refused(value: str) -> None:
    with pytest.raises(FedctrError, match=r"strength .* must be a number above 0"):
        strategies.create(f"logit-adjustment[strength={value}]")
