"""By hand in ``tests/strategies/test_knn_per.py``; here beside all distances in PyTorch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from fedctr.fused.neighbours import votes_of_nearest


def in_torch(
    here: torch.Tensor, there: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, neighbours: int, scale: float
) -> torch.Tensor:
    """The same votes out of a matrix of all distances, in double precision."""
    distances = (here.double().unsqueeze(2) - there.double().unsqueeze(1)).square().sum(3)
    distances = distances.masked_fill(~mask.unsqueeze(1), torch.inf)
    nearest = distances.topk(min(neighbours, distances.shape[2]), dim=2, largest=False).values
    weights = torch.exp((nearest[..., :1] - distances) / scale) * (distances <= nearest[..., -1:])
    return ((weights * labels.unsqueeze(1)).sum(2) / weights.sum(2)).nan_to_num(0)


@given(
    users=some.integers(1, 3),
    samples=some.integers(1, 6),
    others=some.integers(1, 40),
    width=some.sampled_from([1, 3, 16, 21]),
    neighbours=some.integers(1, 45),
    seed=some.integers(0, 2**31),
)
def test_votes_are_those_of_a_matrix_of_distances(
    users: int, samples: int, others: int, width: int, neighbours: int, seed: int
) -> None:
    """On whole numbers, so that many samples are equally far, and some stand where the one before stands."""
    draw = torch.Generator().manual_seed(seed)
    here, there = (torch.randint(0, 3, (users, n, width), generator=draw).float() for n in (samples, others))
    labels, mask = torch.randint(0, 2, (2, users, others), generator=draw)
    given_ = here, there, labels.float(), mask.bool(), neighbours, 2.5
    expected = in_torch(*given_).where(mask.any(1, keepdim=True).bool(), 0.0).float()
    torch.testing.assert_close(votes_of_nearest(*given_), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_no_distance_is_too_far_or_too_near(scale: float) -> None:
    here, there = torch.tensor([[[1e3]]]), torch.tensor([[[0.0], [1.0]]])
    found = votes_of_nearest(here, there, torch.tensor([[0.0, 1.0]]), torch.ones(1, 2, dtype=torch.bool), 2, scale)
    assert found.item() == pytest.approx(1.0 if scale < 1 else 0.5, abs=1e-3)
