import numpy as np
import pytest
import torch

from fedctr.composition import strategy_of
from fedctr.errors import FedctrError
from fedctr.judgement import Judge, Judged
from strategies.mixture import Mixture
from tests.engine import ANYTHING, judged, local_of, scored_of

NAN = float("nan")


def test_the_published_and_the_tuned_logits_are_mixed_in_tenths() -> None:
    logits = torch.tensor([[[1.0, 2.0]], [[9.0, 9.0]], [[3.0, -2.0]]])  # after no epoch, one and two
    found = Mixture().candidates(scored_of(logits), local_of([1, 0]), ANYTHING)
    assert found.shape == (11, 1, 2)
    assert found[0].tolist() == [[1, 2]]
    assert found[3, 0].tolist() == pytest.approx([0.7 * 1 + 0.3 * 3, 0.7 * 2 - 0.3 * 2])
    assert found[10].tolist() == [[3, -2]]


@pytest.mark.parametrize(("by", "expected"), [("log-loss", [2, 0, 0]), ("auc", [1, 2, 0])])
def test_a_device_takes_the_best_weight_and_of_equals_the_least(by: Judge, expected: list[int]) -> None:
    seen = judged(
        log_loss=[[0.6, 0.5, NAN], [0.5, 0.5, NAN], [0.4, 0.6, NAN]],
        auc=[[0.5, 0.5, NAN], [0.7, 0.6, NAN], [0.7, 0.8, NAN]],
    )
    assert Mixture(by=by).choose(seen).tolist() == expected


def test_the_weight_that_is_chosen_is_the_best_mixture_of_one_that_is_too_sure_and_one_that_is_too_shy() -> None:
    """Of three in four positive the best logit is ln 3, which lies between 0 and 2 at a weight of 0.549."""
    logits = torch.tensor([[[0.0] * 4], [[2.0] * 4]])
    found = Mixture().candidates(scored_of(logits), local_of([1]), ANYTHING)[:, 0].numpy()
    seen = Judged.of(found, np.array([1, 1, 0, 1], dtype=np.uint8), np.array([4]))
    assert Mixture().choose(seen).tolist() == [5]  # at 0.5 a nearer one than at 0.6, by the curvature of the loss


def test_it_goes_with_what_changes_the_tuning_and_not_with_another_choice() -> None:
    assert strategy_of("mixture[share=0.3]+label-correction+proximal").held_out() == 0.3
    with pytest.raises(FedctrError, match="mixture and early-stopping both decide on held_out; leave one out"):
        strategy_of("mixture+early-stopping")


def test_bad_options_are_refused() -> None:
    with pytest.raises(FedctrError, match="share 0 must be a number between 0 and 1"):
        strategy_of("mixture[share=0]")
    with pytest.raises(FedctrError, match="by 'ndcg' is none of auc, log-loss"):
        strategy_of("mixture[by=ndcg]")
