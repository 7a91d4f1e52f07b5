import pytest
import torch

from fedctr.mixing import WEIGHTS, mixtures


def test_by_hand() -> None:
    found = mixtures(torch.tensor([0.0, 1.0]), torch.tensor([10.0, -1.0]))
    assert found[:, 0].tolist() == pytest.approx(list(range(11)))
    assert found[:, 1].tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0, -0.2, -0.4, -0.6, -0.8, -1])
    assert len(found) == len(WEIGHTS)


@pytest.mark.parametrize("wild", [float("inf"), float("nan")])
def test_at_either_end_the_other_one_does_not_matter(wild: float) -> None:
    assert mixtures(torch.tensor([2.0]), torch.tensor([wild]))[0] == 2
    assert mixtures(torch.tensor([wild]), torch.tensor([2.0]))[-1] == 2
