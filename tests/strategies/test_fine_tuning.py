import torch

from fedctr.strategy import minibatch_loss, soft_labels
from strategies.fine_tuning import FineTuning
from tests.engine import ANYTHING, local_of


def test_the_labels_are_fitted_as_they_are() -> None:
    local = local_of([1, 0, 0], [1])
    assert soft_labels(FineTuning(), local, ANYTHING).tolist() == [[1, 0, 0], [1, 0, 0]]


def test_the_loss_is_the_mean_log_loss_of_a_users_samples() -> None:
    local = local_of([1, 0, 0], [1], [])
    logits = torch.tensor([[0.0, 0.0, 3.0], [1.0, 100.0, -100.0], [5.0, 5.0, 5.0]])  # the rest is padding
    found = minibatch_loss(FineTuning(), logits, local.labels, local, ANYTHING)
    ln = torch.log1p
    first = (2 * torch.tensor(2.0).log() + ln(torch.tensor(3.0).exp())) / 3
    torch.testing.assert_close(found, torch.stack([first, ln(torch.tensor(-1.0).exp()), torch.tensor(0.0)]))


def test_every_parameter_is_tuned_and_nothing_is_added_to_the_loss() -> None:
    assert FineTuning().tunes
    assert FineTuning().trainable("any.name.whatsoever")
    assert FineTuning().penalty({}, {}) is None
