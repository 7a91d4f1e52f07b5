import pytest
import torch

from fedctr.strategy import soft_labels
from strategies.wrong_direction import WrongDirection
from tests.engine import ANYTHING, local_of


def test_by_hand() -> None:
    local = local_of([1, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0])  # the global CTR is one quarter
    found = soft_labels(WrongDirection(), local, ANYTHING)
    high, low = 0.15 / 0.2, (5 / 12 - 1 / 3) / (2 / 3)  # the means go to 0.15 and 5/12
    torch.testing.assert_close(
        found, torch.tensor([[1, low, low, low, low], [high, 0, 0, 0, 0], [1, 0, 0, 0, 0]]), rtol=0, atol=1e-6
    )
    assert local.mean(found).flatten().tolist() == pytest.approx([5 / 12, 0.15, 0.25], abs=1e-6)
