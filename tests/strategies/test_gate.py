import numpy as np
import pytest

from fedctr.errors import FedctrError
from fedctr.strategy import strategies
from strategies.gate import Gate

NAN = float("nan")
PUBLISHED = {"log_loss": np.array([0.6, 0.6, 0.6, NAN]), "auc": np.array([0.7, 0.7, NAN, NAN])}
TUNED = {"log_loss": np.array([0.59, 0.61, 0.5, NAN]), "auc": np.array([0.65, 0.75, NAN, NAN])}


def test_the_better_auc_is_kept() -> None:
    assert Gate().keep(TUNED, PUBLISHED).tolist() == [False, True, False, False]


def test_or_the_better_log_loss() -> None:
    assert Gate(by="log-loss").keep(TUNED, PUBLISHED).tolist() == [True, False, True, False]


def test_it_must_be_better_by_more_than_the_margin() -> None:
    assert Gate(by="log-loss", margin=0.05).keep(TUNED, PUBLISHED).tolist() == [False, False, True, False]
    assert Gate(margin=0.1).keep(TUNED, PUBLISHED).tolist() == [False] * 4


@pytest.mark.parametrize("judge", ["auc", "log-loss"])
def test_no_gain_is_no_reason(judge: str) -> None:
    assert not strategies.create(f"gate[by={judge}]").keep(PUBLISHED, PUBLISHED).any()


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
