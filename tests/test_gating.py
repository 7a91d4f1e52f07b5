from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from torch import Tensor

from fedctr.composition import strategy_of
from fedctr.gating import gate_report, ungated
from fedctr.published import Published
from fedctr.strategy import Local
from strategies.gate import Gate

NAN = float("nan")


def rows(**auc: list[list[float]]) -> pd.DataFrame:
    """Test rows of strategies with the AUC of every user and seed, shuffled."""
    table = [
        {"user": f"u{user}", "strategy": name.replace("_", "-"), "seed": seed, "auc": value}
        for name, users in auc.items()
        for user, seeds in enumerate(users)
        for seed, value in enumerate(seeds)
    ]
    return pd.DataFrame(table).sample(frac=1, random_state=0)


def test_by_hand() -> None:
    # Without the gate users lose 0.2 and 0.1 and win 0.4; with it they lose 0.1 and win 0.3. One has no AUC.
    test = rows(
        no_fine_tuning=[[0.5], [0.5], [0.5], [NAN]],
        fine_tuning=[[0.3], [0.4], [0.9], [NAN]],
        gate=[[0.5], [0.4], [0.8], [NAN]],
    )
    found = gate_report(test, {"gate": "fine-tuning"})["gate"]
    assert found["ungated"] == "fine-tuning"
    assert found["harm_removed"]["mean"] == pytest.approx(0.2 / 0.3)
    assert found["gain_lost"]["mean"] == pytest.approx(0.1 / 0.4)
    assert found["harm_removed"]["users"] == 3


def test_seeds_are_added_up_as_users_are() -> None:
    test = rows(no_fine_tuning=[[0.5, 0.6]] * 2, fine_tuning=[[0.4, 0.7]] * 2, gate=[[0.5, 0.6], [0.4, 0.7]])
    found = gate_report(test, {"gate": "fine-tuning"})["gate"]
    assert found["harm_removed"]["mean"] == pytest.approx(0.5)
    assert found["gain_lost"]["mean"] == pytest.approx(0.5)


def test_a_gate_that_opens_for_all_removes_nothing_and_one_that_opens_for_none_everything() -> None:
    published, tuned = [[0.5], [0.6], [0.7]], [[0.4], [0.8], [0.6]]
    for kept, share in ((tuned, 0.0), (published, 1.0)):
        found = gate_report(rows(no_fine_tuning=published, fine_tuning=tuned, gate=kept), {"gate": "fine-tuning"})
        for figure in ("harm_removed", "gain_lost"):
            assert [found["gate"][figure][key] for key in ("mean", "low", "high")] == pytest.approx([share] * 3)


def test_where_nobody_was_harmed_there_is_no_share() -> None:
    test = rows(no_fine_tuning=[[0.5], [0.6]], fine_tuning=[[0.6], [0.6]], gate=[[0.6], [0.6]])
    found = gate_report(test, {"gate": "fine-tuning"})["gate"]
    assert np.isnan(found["harm_removed"]["mean"])
    assert found["gain_lost"]["mean"] == 0


def test_a_coin_removes_as_much_harm_as_it_loses_gain() -> None:
    rng = np.random.default_rng(1)
    published, tuned = rng.random((4_000, 1)), rng.random((4_000, 1))
    kept = np.where(rng.random((4_000, 1)) < 0.3, tuned, published)
    test = rows(no_fine_tuning=published.tolist(), fine_tuning=tuned.tolist(), gate=kept.tolist())
    found = gate_report(test, {"gate": "fine-tuning"})["gate"]
    for figure in (found["harm_removed"], found["gain_lost"]):
        assert figure["mean"] == pytest.approx(0.7, abs=0.04)  # three standard errors
        assert figure["low"] < figure["mean"] < figure["high"] < figure["low"] + 0.1


@dataclass(frozen=True)
class Halved(Gate):
    """Judges and softens at once, so nothing can be said of its gate alone."""

    name: ClassVar[str] = "halved"

    def targets(self, local: Local, published: Published) -> Tensor:
        return local.labels / 2


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (["no-fine-tuning", "fine-tuning", "gate"], {"gate": "fine-tuning"}),
        (["no-fine-tuning", "gate"], {}),
        (["label-correction", "gate+label-correction"], {"gate+label-correction": "label-correction"}),
        (["label-correction[variant=shift]", "label-correction+gate", "fine-tuning"], {}),
        (
            [
                "head-only+label-correction",
                "gate",
                "gate[by=log-loss]",
                "label-correction+gate+head-only",
                "fine-tuning",
            ],
            {
                "gate": "fine-tuning",
                "gate[by=log-loss]": "fine-tuning",
                "label-correction+gate+head-only": "head-only+label-correction",
            },
        ),
        (["fine-tuning", f"{__name__}:Halved"], {}),
    ],
)
def test_a_gated_strategy_stands_beside_the_same_without(specs: list[str], expected: dict[str, str]) -> None:
    assert ungated({spec: strategy_of(spec) for spec in specs}) == expected
