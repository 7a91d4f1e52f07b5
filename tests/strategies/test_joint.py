import math

import pytest
import torch

from fedctr.errors import FedctrError
from fedctr.strategy import minibatch_loss, strategies
from strategies.fine_tuning import FineTuning
from strategies.joint import Joint
from strategies.pairwise import Pairwise
from tests.engine import ANYTHING, local_of


def test_by_hand() -> None:
    local = local_of([1, 0])
    targets = torch.tensor([[0.5, 0.25]])  # softened: the order still goes by the labels
    found = Joint(2.0).loss(torch.tensor([[1.0, 0.0]]), targets, local, ANYTHING)
    order = math.log1p(math.exp(-1))
    first = 0.5 * math.log1p(math.exp(-1)) + 0.5 * math.log1p(math.exp(1))
    torch.testing.assert_close(found, torch.tensor([[first + 2 * order, math.log(2) + 2 * order]]))


def test_it_is_the_sum_of_both_losses() -> None:
    local = local_of([1, 0, 1, 1], [0, 0], [1, 0], [])
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    plain, order, both = (
        minibatch_loss(strategy, logits, local.labels, local, ANYTHING)
        for strategy in (FineTuning(), Pairwise(), Joint(0.3))
    )
    torch.testing.assert_close(both, plain + 0.3 * order)


@pytest.mark.parametrize("value", ["0", "-1", "much", "nan", "inf"])
def test_a_weight_that_is_no_number_above_0_is_refused(value: str) -> None:
    with pytest.raises(FedctrError, match=r"weight .* must be a number above 0"):
        strategies.create(f"joint[weight={value}]")
