import pytest
import torch
import torch.nn.functional as F

from fedctr.errors import FedctrError
from fedctr.strategy import minibatch_loss, soft_labels, strategies
from strategies.distillation import Distillation
from tests.engine import ANYTHING, local_of

PUBLISHED = torch.tensor([[0.2, 0.6], [0.9, 0.5]])
LOCAL = local_of([1, 0], [1], published_logits=PUBLISHED.logit())


def test_by_hand() -> None:
    found = soft_labels(Distillation(0.25), LOCAL, ANYTHING)
    torch.testing.assert_close(found[0], torch.tensor([0.75 + 0.05, 0.15]))
    assert found[1, 0].item() == pytest.approx(0.75 + 0.225)


def test_it_is_the_weighted_sum_of_both_losses() -> None:
    logits = torch.tensor([[1.5, -0.3], [0.4, 0.0]])
    strategy = Distillation(0.3)
    found = minibatch_loss(strategy, logits, soft_labels(strategy, LOCAL, ANYTHING), LOCAL, ANYTHING)
    to_labels, to_published = (
        LOCAL.mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none")).squeeze(1)
        for target in (LOCAL.labels, PUBLISHED)
    )
    torch.testing.assert_close(found, 0.7 * to_labels + 0.3 * to_published)


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "some", "nan"])
def test_a_share_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(FedctrError, match=r"share .* must be a number between 0 and 1"):
        strategies.create(f"distillation[share={value}]")
