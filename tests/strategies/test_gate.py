import pytest
import torch

from fedctr.errors import FedctrError
from fedctr.judgement import Judge
from fedctr.strategy import strategies
from strategies.gate import Gate
from tests.engine import ANYTHING, judged, local_of, scored_of

NAN = float("nan")
# Of the published model, then of the tuned one.
SEEN = judged(
    log_loss=[[0.6, 0.6, 0.6, NAN], [0.59, 0.61, 0.5, NAN]], auc=[[0.7, 0.7, NAN, NAN], [0.65, 0.75, NAN, NAN]]
)
EQUAL = judged(log_loss=[[0.6, NAN]] * 2, auc=[[0.7, NAN]] * 2)


def test_a_device_chooses_between_the_published_and_the_tuned_model() -> None:
    logits = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]])  # after no epoch, one and two
    found = Gate().candidates(scored_of(logits), local_of([1, 0]), ANYTHING)
    assert found.tolist() == [[[1, 2]], [[5, 6]]]


def test_the_better_auc_is_kept() -> None:
    assert Gate().choose(SEEN).tolist() == [0, 1, 0, 0]


def test_or_the_better_log_loss() -> None:
    assert Gate(by="log-loss").choose(SEEN).tolist() == [1, 0, 1, 0]


def test_it_must_be_better_by_more_than_the_margin() -> None:
    assert Gate(by="log-loss", margin=0.05).choose(SEEN).tolist() == [0, 0, 1, 0]
    assert Gate(margin=0.1).choose(SEEN).tolist() == [0] * 4


@pytest.mark.parametrize("judge", ["auc", "log-loss"])
def test_no_gain_is_no_reason(judge: Judge) -> None:
    assert not Gate(by=judge).choose(EQUAL).any()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("share=0", "share 0 must be a number between 0 and 1"),
        ("share=1", "share 1 must be a number between 0 and 1"),
        ("share=nan", "share nan must be a number between 0 and 1"),
        ("share=some", "share 'some' must be a number between 0 and 1"),
        ("by=ndcg", "by 'ndcg' is none of auc, log-loss"),
        ("margin=-1", "margin -1 must be a number of at least 0"),
        ("margin=inf", "margin inf must be a number of at least 0"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(FedctrError, match=message):
        strategies.create(f"gate[{spec}]")
