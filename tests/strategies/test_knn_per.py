import math

import pytest
import torch

from fedctr.composition import strategy_of
from fedctr.errors import FedctrError
from fedctr.scored import Scored
from fedctr.strategy import Local
from strategies.knn_per import KnnPer
from tests.engine import ANYTHING, local_of, scored_of

# One user with four local samples at 0, 1, 2 and 10, of which the first and the last are positive; one user without.
LOCAL = local_of([1, 0, 0, 1], [])
THERE = torch.tensor([[[0.0], [1.0], [2.0], [10.0]], [[0.0]] * 4])


def sample(at: float, logit: float = 0.0) -> Scored:
    """A sample of each user that stands there."""
    return scored_of(torch.full((1, 2, 1), logit), torch.full((2, 1, 1), at), THERE)


def remembered(strategy: KnnPer, at: float, local: Local = LOCAL) -> float:
    """What the first user's nearest samples say of one that stands there."""
    return float(strategy.remembered(sample(at), local)[0, 0])


def test_the_nearest_samples_vote_by_how_near_they_are() -> None:
    assert remembered(KnnPer(neighbours=3), at=0.0) == pytest.approx(1 / (1 + math.exp(-1) + math.exp(-4)))


def test_the_scale_is_that_of_squared_distances() -> None:
    assert remembered(KnnPer(neighbours=2, scale=4.0), at=0.0) == pytest.approx(1 / (1 + math.exp(-1 / 4)))


def test_width_is_taken_out_of_the_distance() -> None:
    wide = THERE.repeat_interleave(3, dim=2)
    scored = scored_of(torch.zeros(1, 2, 1), torch.zeros(2, 1, 3), wide)
    found = KnnPer(neighbours=3).remembered(scored, LOCAL)[0, 0]
    assert found == pytest.approx(remembered(KnnPer(neighbours=3), at=0.0))


def test_of_equally_far_ones_all_count() -> None:
    """At 1, the nearest is itself, and the next are 0 and 2, which disagree."""
    assert remembered(KnnPer(neighbours=2), at=1.0) == pytest.approx(math.exp(-1) / (1 + 2 * math.exp(-1)))


def test_more_neighbours_than_samples_are_all_samples_and_padding_is_none() -> None:
    few = local_of([1, 0, 0], [1, 0, 0, 1])
    assert remembered(KnnPer(neighbours=10), 0.0, few) == pytest.approx(1 / (1 + math.exp(-1) + math.exp(-4)))


def test_a_sample_far_from_all_others_has_neighbours_too() -> None:
    assert remembered(KnnPer(neighbours=1), at=1e4) == 1


def test_probabilities_are_mixed_in_tenths_and_the_published_one_never_goes() -> None:
    found = KnnPer(neighbours=3).candidates(sample(at=0.0, logit=-1.0), LOCAL, ANYTHING).sigmoid()
    own, published = 1 / (1 + math.exp(-1) + math.exp(-4)), 1 / (1 + math.e)
    assert found[:, 0, 0].tolist() == pytest.approx([(1 - k / 10) * published + k / 10 * own for k in range(10)])


def test_a_device_without_samples_predicts_as_published() -> None:
    found = KnnPer().candidates(sample(at=0.0, logit=-1.0), LOCAL, ANYTHING)
    assert found[:, 1, 0].tolist() == pytest.approx([-1] * 10)
    none = scored_of(torch.full((1, 1, 2), -1.0), torch.zeros(1, 2, 1), torch.zeros(1, 0, 1))
    torch.testing.assert_close(KnnPer().candidates(none, local_of([]), ANYTHING), torch.full((10, 1, 2), -1.0))


def test_the_first_is_the_published_model_to_the_bit_and_no_logit_is_infinite() -> None:
    scored = scored_of(torch.tensor([[[30.0, -0.7]]]), torch.zeros(1, 2, 1), THERE[:1])
    found = KnnPer(neighbours=1).candidates(scored, local_of([1, 0, 0, 1]), ANYTHING)
    assert torch.equal(found[0], scored.published)
    assert found.isfinite().all()
    assert found.max() <= 30


def test_it_tunes_nothing_so_nothing_goes_with_it() -> None:
    with pytest.raises(FedctrError, match="knn-per does not fine-tune, so nothing can be added to it"):
        strategy_of("label-correction+knn-per")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("neighbours=0", "neighbours 0 must be a whole number of at least 1"),
        ("scale=0", "scale 0 must be a number above 0"),
        ("share=1", "share 1 must be a number between 0 and 1"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(FedctrError, match=message):
        strategy_of(f"knn-per[{spec}]")
