import numpy as np
import pytest
import torch

from fedctr.composition import strategy_of
from fedctr.errors import FedctrError
from fedctr.judgement import Judge
from strategies.early_stopping import EarlyStopping
from tests.engine import ANYTHING, judged, local_of, scored_of

NAN = float("nan")
# Users, each with its loss after 0, 1, 2, 3 and 4 epochs.
LOSSES = [
    [0.6, 0.5, 0.7, 0.7, 0.4],  # the best comes after two that are worse
    [0.6, 0.7, 0.5, 0.6, 0.7],
    [0.6, 0.7, 0.8, 0.9, 1.0],
    [0.6, 0.5, 0.4, 0.3, 0.2],
    [0.6, 0.5, 0.5, 0.5, 0.5],
    [NAN, NAN, NAN, NAN, NAN],
]
SEEN = judged(log_loss=np.transpose(LOSSES).tolist(), auc=np.transpose([[0.5, 0.6, 0.4, 0.7, 0.9]] * 6).tolist())


@pytest.mark.parametrize(
    ("patience", "expected"), [(1, [1, 0, 0, 4, 1, 0]), (2, [1, 2, 0, 4, 1, 0]), (3, [4, 2, 0, 4, 1, 0])]
)
def test_a_device_gives_up_after_so_many_epochs_without_a_better_one(patience: int, expected: list[int]) -> None:
    assert EarlyStopping(patience=patience).choose(SEEN).tolist() == expected


@pytest.mark.parametrize(("by", "expected"), [("log-loss", [1, 2, 0, 4, 1, 0]), ("auc", [4] * 6)])
def test_the_loss_may_be_the_auc_with_the_sign_turned(by: Judge, expected: list[int]) -> None:
    assert EarlyStopping(by=by).choose(SEEN).tolist() == expected


def test_a_device_chooses_among_all_epochs_none_included() -> None:
    logits = torch.randn(4, 2, 3)
    assert EarlyStopping().candidates(scored_of(logits), local_of([1, 0, 1], [0]), ANYTHING) is logits
    assert EarlyStopping(share=0.3).held_out() == 0.3


def test_it_goes_with_what_changes_the_tuning_and_not_with_another_choice() -> None:
    assert strategy_of("early-stopping[by=auc]+label-correction+head-only").held_out() == 0.2
    with pytest.raises(FedctrError, match="early-stopping and gate both decide on held_out; leave one out"):
        strategy_of("early-stopping+gate")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("share=1", "share 1 must be a number between 0 and 1"),
        ("patience=0", "patience 0 must be a whole number of at least 1"),
        ("patience=1.5", "patience 1.5 must be a whole number of at least 1"),
        ("by=ndcg", "by 'ndcg' is none of auc, log-loss"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(FedctrError, match=message):
        strategy_of(f"early-stopping[{spec}]")
