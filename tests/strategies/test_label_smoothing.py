import pytest
import torch

from fedctr.errors import FedctrError
from fedctr.strategy import soft_labels, strategies
from strategies.label_smoothing import LabelSmoothing
from tests.engine import ANYTHING, local_of


def test_by_hand() -> None:
    found = soft_labels(LabelSmoothing(0.2), local_of([1, 0], [1, 1]), ANYTHING)
    torch.testing.assert_close(found, torch.tensor([[0.9, 0.1], [0.9, 0.9]]))


def test_it_moves_every_prior_towards_one_half_whatever_the_global_ctr() -> None:
    local = local_of([1, 0, 0, 0], [1, 1, 1, 0])
    mean = local.mean(soft_labels(LabelSmoothing(0.4), local, ANYTHING))
    torch.testing.assert_close(mean, torch.tensor([[0.35], [0.65]]))


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "some", "nan"])
def test_a_share_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(FedctrError, match=r"share .* must be a number between 0 and 1"):
        strategies.create(f"label-smoothing[share={value}]")
