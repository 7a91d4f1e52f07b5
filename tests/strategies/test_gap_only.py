import pytest
import torch

from fedctr.strategy import soft_labels
from strategies.gap_only import GapOnly
from strategies.label_correction import LabelCorrection
from tests.engine import ANYTHING, local_of


def test_by_hand() -> None:
    found = soft_labels(GapOnly(), local_of([1, 0], [1, 0, 0, 0]), ANYTHING)  # the global CTR is one quarter
    torch.testing.assert_close(found, torch.tensor([[0.75, 0.25, 0.25, 0.25], [1, 0, 0, 0]]))


def test_it_softens_as_label_correction_does_and_keeps_the_mean() -> None:
    local = local_of([1, 1, 1, 0], [1, 0, 0, 0, 0, 0, 0, 0])
    ours, corrected = (soft_labels(strategy, local, ANYTHING) for strategy in (GapOnly(), LabelCorrection()))
    torch.testing.assert_close(ours[:, 0] - ours[:, 3], corrected[:, 0] - corrected[:, 3])
    torch.testing.assert_close(local.mean(ours), local.ctr)
    assert local.mean(corrected).tolist() == [[pytest.approx(0.25)]] * 2
