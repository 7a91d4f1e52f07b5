from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from fedctr.composition import ONE_OWNER, SHARED, Composed, strategies_of, strategy_of
from fedctr.errors import FedctrError
from fedctr.published import Published
from fedctr.strategy import (
    ClientStrategy,
    Local,
    added_penalty,
    minibatch_loss,
    overrides,
    soft_labels,
    strategies,
    trainable_of,
)
from strategies.fine_tuning import FineTuning
from strategies.gate import Gate
from strategies.head_only import HeadOnly
from strategies.joint import Joint
from strategies.label_correction import LabelCorrection
from strategies.logit_adjustment import LogitAdjustment
from strategies.low_rank import LowRank
from strategies.proximal import Proximal
from strategies.reweighting import Reweighting
from tests.engine import ANYTHING, Tempered, features_of, judged, local_of, publish, rows, scored_of, task

LOCAL = local_of([1, 0, 0], [1, 1, 0, 1])
LOGITS = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class NotTheUser(ClientStrategy):
    """Says by name what may change, and pulls towards nought."""

    name: ClassVar[str] = "not-the-user"

    def trainable(self, parameter: str) -> bool:
        return "user" not in parameter

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor:
        return sum((value.flatten(1).sum(1) for value in parameters.values()), torch.zeros(()))


# --------------------------------------------------------------------------------------------- the spec


def test_one_name_is_that_strategy() -> None:
    assert strategy_of("label-correction[variant=anchored]") == LabelCorrection("anchored")


def test_names_joined_by_plus_are_composed_whatever_their_order() -> None:
    expected = Composed((HeadOnly(), LabelCorrection("anchored"), Proximal(0.5)))
    assert strategy_of("label-correction[variant=anchored]+proximal[weight=0.5]+head-only") == expected
    assert strategy_of(" proximal[weight=0.5] + head-only + label-correction[variant=anchored] ") == expected


def test_a_plus_within_brackets_belongs_to_the_value() -> None:
    assert strategy_of("proximal[weight=1e+1]+head-only") == Composed((HeadOnly(), Proximal(10.0)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("label-correction+hed-only", "unknown strategy 'hed-only'; did you mean head-only"),
        ("label-correction+", "strategy 'label-correction+': expected a name on either side of +"),
        ("+label-correction", "strategy '+label-correction': expected a name on either side of +"),
        ("gate + + joint", "strategy 'gate + + joint': expected a name on either side of +"),
        ("label-correction+proximal[weight=0]", "weight 0 must be a number above 0"),
        ("label-correction+gap-only", "label-correction and gap-only both decide on targets; leave one out"),
        ("low-rank+scale-only", "low-rank and scale-only both decide on adapter; leave one out"),
        ("pairwise+joint", "pairwise and joint both decide on loss; leave one out"),
        ("no-fine-tuning+gate", "no-fine-tuning does not fine-tune, so nothing can be added to it"),
        ("head-only+fine-tuning", "fine-tuning adds nothing; leave it out"),
        ("proximal+proximal[weight=2]", "proximal is named twice"),
        ("logit-adjustment+pairwise", "the loss of pairwise does not see logit-adjustment, the same for all of a user"),
        ("pairwise+bias-only+gate", "the loss of pairwise does not see bias-only, the same for all of a user"),
        ("label-correction+logit-adjustment", "label-correction and logit-adjustment both correct the prior, and twi"),
        (
            "reweighting+gate+label-correction",
            "reweighting and label-correction both correct the prior, and twice is t",
        ),
        ("pairwise+label-correction", "the loss of pairwise does not read the targets of label-correction"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        strategy_of(spec)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def drift(strategy: ClientStrategy) -> float:
    """How the output bias would move, of a model that predicts the global CTR and a user of four positives in five."""
    level = torch.full((1, 5), ANYTHING.global_ctr).logit()
    local, bias = local_of([1, 1, 1, 1, 0], published_logits=level), torch.zeros(1, 1, requires_grad=True)
    minibatch_loss(strategy, level + bias, soft_labels(strategy, local, ANYTHING), local, ANYTHING).sum().backward()
    assert bias.grad is not None
    return -bias.grad.item()


def test_those_that_correct_the_prior_say_so() -> None:
    assert drift(FineTuning()) == pytest.approx(0.8 - 0.25)
    shelf = [strategies.create(name) for name, cls in strategies.classes().items() if cls.tunes and cls.reads_level]
    correct = {strategy.name for strategy in shelf if abs(drift(strategy)) < 0.2 * drift(FineTuning())}
    assert {strategy.name for strategy in shelf if strategy.corrects_prior} == correct | {"wrong-direction"}


def test_the_prior_corrected_twice_would_drift_the_other_way() -> None:
    for both in ((LabelCorrection(), LogitAdjustment()), (LabelCorrection(), Reweighting())):
        assert drift(Composed(both)) < -0.3 * drift(FineTuning())


def test_the_same_parts_in_another_order_are_the_same_strategy() -> None:
    assert list(strategies_of(["gate", "proximal+gate"])) == ["gate", "proximal+gate"]
    with pytest.raises(FedctrError, match=r"strategies: proximal\+gate and gate\+proximal are the same; leave one out"):
        strategies_of(["gate+proximal", "joint", "proximal+gate"])


# -------------------------------------------------------------------------------------------- the hooks


def test_each_hook_is_that_of_the_component_which_overrides_it() -> None:
    correction, joint = LabelCorrection("anchored"), Joint(0.5)
    composed = Composed.of([joint, Tempered(), correction])
    targets = soft_labels(correction, LOCAL, ANYTHING)
    assert torch.equal(soft_labels(composed, LOCAL, ANYTHING), targets)
    adjusted = Tempered().logits(LOGITS, LOCAL, ANYTHING)
    assert torch.equal(composed.logits(LOGITS, LOCAL, ANYTHING), adjusted)
    expected = minibatch_loss(joint, adjusted, targets, LOCAL, ANYTHING)
    assert torch.equal(minibatch_loss(composed, LOGITS, targets, LOCAL, ANYTHING), expected)


def test_what_no_component_overrides_is_as_in_plain_fine_tuning() -> None:
    composed, plain = Composed.of([HeadOnly(), Proximal()]), FineTuning()
    assert composed.targets(LOCAL, ANYTHING) is LOCAL.labels
    assert composed.logits(LOGITS, LOCAL, ANYTHING) is LOGITS
    assert torch.equal(
        composed.loss(LOGITS, LOCAL.labels, LOCAL, ANYTHING), plain.loss(LOGITS, LOCAL.labels, LOCAL, ANYTHING)
    )
    assert composed.held_out() == 0
    only = Composed.of([HeadOnly(), Tempered()])
    assert only.penalty({}, {}) is None


def test_penalties_add_up() -> None:
    parameters = {"a": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}
    origin = {"a": torch.zeros(2, 2)}
    found = added_penalty(Composed.of([Proximal(2.0), NotTheUser(), HeadOnly()]), parameters, origin)
    assert found is not None
    assert found.tolist() == [5 + 3, 25 + 7]


def test_a_device_may_change_what_every_component_allows() -> None:
    names = ["user.weight", "deep.layers.0.weight", "deep.layers.1.weight", "deep.layers.1.bias"]
    composed = Composed.of([NotTheUser(), HeadOnly()])
    assert trainable_of(composed, names) == names[2:]
    assert not composed.trainable("user.weight")
    assert composed.trainable("deep.layers.1.bias")


def test_nothing_in_common_is_an_error() -> None:
    class Users(NotTheUser):
        name = "users"

        def trainable(self, parameter: str) -> bool:
            return "user" in parameter

    with pytest.raises(ValueError, match="head-only and users have no parameter in common"):
        trainable_of(Composed.of([Users(), HeadOnly()]), ["user.weight", "deep.layers.0.weight"])


def test_the_adapter_is_that_of_the_component_which_has_one() -> None:
    composed, weight = Composed.of([LabelCorrection(), LowRank(2), HeadOnly(2)]), torch.zeros(3, 4)
    found, alone = (each.adapter("layer.weight", weight, seed=1) for each in (composed, LowRank(2)))
    assert found is not None
    assert alone is not None
    assert torch.equal(found.start["A"], alone.start["A"])
    assert LabelCorrection().adapter("layer.weight", weight, seed=1) is None


def test_the_gate_is_asked() -> None:
    composed = Composed.of([LabelCorrection(), Gate(share=0.3, by="log-loss", margin=0.1)])
    assert composed.held_out() == 0.3
    assert composed.choose(judged(log_loss=[[0.62, 0.64], [0.5, 0.55]])).tolist() == [1, 0]
    scored = scored_of(LOGITS.expand(3, -1, -1))
    assert torch.equal(composed.candidates(scored, LOCAL, ANYTHING), LOGITS.expand(2, -1, -1))


def test_it_overrides_what_a_component_does_and_nothing_else() -> None:
    composed = Composed.of([LabelCorrection(), Proximal()])
    found = {hook for hook in ONE_OWNER + SHARED if overrides(composed, hook)}
    assert found == {"targets", "penalty"}
    assert composed.components() == (LabelCorrection(), Proximal())
    assert LabelCorrection().components() == (LabelCorrection(),)


@pytest.mark.usefixtures("one_thread")
def test_an_idle_companion_changes_not_one_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it goes the same fast way through the cohort engine."""
    monkeypatch.setattr("fedctr.engines.takes", lambda *task: False)

    class Allows(NotTheUser):
        name = "allows"

        def trainable(self, parameter: str) -> bool:
            return True

        def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> None:  # type: ignore[override]
            return None

    class Trains(ClientStrategy):
        name = "trains"

        def trainable(self, parameter: str) -> bool:
            return True

    class Counts(LabelCorrection):
        """Hears of it if the engine asks for the loss of every sample."""

        name = "counts"
        asked = 0

        def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
            type(self).asked += 1
            return logits

    features = features_of([40, 7, 33], [5, 5, 5])
    published = publish("dien[history=5]", features.dataset.schema)
    alone = rows(published, LabelCorrection(), features, task())
    for other in (Allows(), Trains()):
        found = rows(published, Composed.of([LabelCorrection(), other]), features, task())
        for name, values in alone.items():
            assert values.tobytes() == found[name].tobytes(), name
    slow = rows(published, Composed.of([Counts(), Trains()]), features, task())
    assert Counts.asked > 0
    np.testing.assert_allclose(slow["log_loss"].astype(float), alone["log_loss"].astype(float), rtol=1e-4)
