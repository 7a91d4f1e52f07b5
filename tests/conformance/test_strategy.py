import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from fedctr.adapter import Adapter
from fedctr.conformance.strategy import MODELS, check
from fedctr.engines import StackedGroup
from fedctr.fused.engine import FusedGroup
from fedctr.judgement import Integers, Judged
from fedctr.published import Published
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local, strategies
from tests.engine import Everything


def faults(strategy: ClientStrategy) -> dict[str, str]:
    return {finding.rule: finding.fault for finding in check(strategy) if finding.fault}


def fault(strategy: ClientStrategy, rule: str) -> str:
    """What a rule finds amiss; those that come after it are not tried."""
    return next(finding.fault for finding in check(strategy) if finding.rule == rule)


@pytest.mark.parametrize(
    "strategy",
    [Everything(), *(pytest.param(cls(), marks=pytest.mark.exhaustive) for cls in strategies.classes().values())],
    ids=repr,
)
def test_whatever_is_on_the_shelf_keeps_the_contract(strategy: ClientStrategy) -> None:
    assert faults(strategy) == {}


def test_every_rule_is_tried_on_every_model() -> None:
    rules = [finding.rule for finding in check(strategies.create("fine-tuning"))]
    assert len(rules) == 4 + 7 * len(MODELS)
    assert "treats each user as if it were alone, to the bit (din)" in rules


@dataclass(frozen=True)
class Leaking(ClientStrategy):
    """Looks at the other users of the cohort."""

    name: ClassVar[str] = "leaking"

    def targets(self, local: Local, published: Published) -> Tensor:
        return local.labels * 0 + local.ctr.mean()


def test_a_user_must_not_matter_to_another() -> None:
    broken = faults(Leaking())
    assert broken["treats each user as if it were alone, to the bit (lr)"].startswith("logits of the user with ")
    assert "agrees with the plain loop over users (din)" in broken
    assert not any("run again" in rule for rule in broken)


@dataclass(frozen=True)
class Padded(ClientStrategy):
    """Forgets that some samples are padding."""

    name: ClassVar[str] = "padded"

    def targets(self, local: Local, published: Published) -> Tensor:
        return local.labels.mean(1, keepdim=True).expand_as(local.labels)


def test_padding_must_not_matter() -> None:
    assert fault(Padded(), "agrees with the plain loop over users (wide-deep)")


calls = count()


@dataclass(frozen=True)
class Moody(ClientStrategy):
    """Never the same twice."""

    name: ClassVar[str] = "moody"

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        return (1 + next(calls) % 7) * (logits - targets).square()


def test_it_must_do_the_same_again() -> None:
    assert fault(Moody(), "does the same when it is run again (lr)")


@dataclass(frozen=True)
class Undefined(ClientStrategy):
    """Divides by the positives, which a user may not have."""

    name: ClassVar[str] = "undefined"

    def targets(self, local: Local, published: Published) -> Tensor:
        return local.labels / local.positives


def test_what_a_hook_raises_or_returns_wrongly_is_told_model_by_model() -> None:
    broken = faults(Undefined())
    assert broken == {f"runs on {model}": "ValueError: targets returned NaN or an infinite value" for model in MODELS}


@dataclass(frozen=True)
class Exploding(ClientStrategy):
    """Drives the parameters out of range."""

    name: ClassVar[str] = "exploding"

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor:
        moved = [value.square().flatten(1).sum(1) for value in parameters.values()]
        return 1e30 * sum(moved, torch.zeros(()))


@dataclass(frozen=True)
class Untyped(ClientStrategy):
    """Forgets what a share is, and fails in one engine only."""

    name: ClassVar[str] = "untyped"

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        if len(logits) == 1:
            raise RuntimeError("not alone")
        return super().loss(logits, targets, local, published)

    def held_out(self) -> float:
        return 2.0


def test_a_fault_of_one_engine_and_a_share_that_is_none() -> None:
    assert faults(Untyped()) == {
        **{f"runs on {model}": "RuntimeError: not alone" for model in MODELS},
        "holds out a share, or nothing": "ValueError: held_out returned 2.0, expected a share from 0 to below 1",
    }


def test_scores_must_be_finite() -> None:
    assert fault(Exploding(), "gives finite scores (lr)").endswith("are not finite")


@dataclass
class Soft(ClientStrategy):
    name: ClassVar[str] = "soft"

    weights: tuple[float, ...] = ()


def test_it_must_be_frozen_and_described() -> None:
    assert fault(Soft(), "is a frozen dataclass").startswith("unhashable type: 'Soft': the dataclass is not frozen")
    assert fault(Soft(), "says in its docstring what it does") == "the class has no docstring"


@dataclass(frozen=True)
class Picky(ClientStrategy):
    """Tunes what only some models have."""

    name: ClassVar[str] = "picky"

    part: str = "attention"

    def trainable(self, parameter: str) -> bool:
        return self.part in parameter


def test_models_in_which_there_is_nothing_to_tune_are_left_out_but_not_all_of_them() -> None:
    rules = {finding.rule: finding.fault for finding in check(Picky())}
    assert rules["runs on " + MODELS[2]] == ""
    assert not any(rule.startswith("runs on lr") for rule in rules)
    refused = fault(Picky("nowhere"), "finds something to tune in one model at least")
    assert refused.startswith("lr: trainable chose none of the parameters bias, ")


@dataclass(frozen=True)
class Peeking(ClientStrategy):
    """Looks for the test labels in the engine's own variables."""

    name: ClassVar[str] = "peeking"

    def targets(self, local: Local, published: Published) -> Tensor:
        frame = sys._getframe()
        while frame is not None and not isinstance(frame.f_locals.get("self"), FusedGroup | StackedGroup):
            frame = frame.f_back  # type: ignore[assignment]
        if frame is None:
            return local.labels
        seen = torch.from_numpy(frame.f_locals["self"].labels).float().mean(1, keepdim=True)
        return local.labels * 0 + seen[torch.arange(len(local.labels)) % len(seen)]


def test_test_labels_are_not_to_be_read() -> None:
    assert fault(Peeking(), "reads no label of the test part (lr)").startswith("logits of the user with ")
    assert not fault(Peeking(), "does the same when it is run again (lr)")


@dataclass(frozen=True)
class Remembering(ClientStrategy):
    """Takes a mean over all users it has met."""

    name: ClassVar[str] = "remembering"
    met: ClassVar[list[float]] = []

    def targets(self, local: Local, published: Published) -> Tensor:
        self.met.append(float(local.ctr[0]))
        return local.labels * 0 + sum(self.met) / len(self.met)


def test_nothing_is_kept_from_one_user_to_the_next() -> None:
    assert fault(Remembering(), "treats each user as if it were alone, to the bit (lr)")


@dataclass(frozen=True)
class Unseeded(ClientStrategy):
    """Flips labels by chance."""

    name: ClassVar[str] = "unseeded"

    def targets(self, local: Local, published: Published) -> Tensor:
        return torch.where(torch.rand_like(local.labels) < 0.3, 1 - local.labels, local.labels)


def test_chance_must_have_a_seed() -> None:
    assert "does the same when it is run again (din)" in faults(Unseeded())


@dataclass(frozen=True)
class InPlace(ClientStrategy):
    """Softens the labels themselves."""

    name: ClassVar[str] = "in-place"

    def targets(self, local: Local, published: Published) -> Tensor:
        return local.labels.clamp_(0.1, 0.9)  # the second time it changes nothing


def test_what_a_hook_is_given_stays_as_it_was() -> None:
    found = fault(InPlace(), "leaves what it is given as it was (lr)")
    assert found == "local.labels was changed in place; change a clone"


@dataclass(frozen=True)
class Wrong(ClientStrategy):
    """One hook goes wrong, in one way or another."""

    name: ClassVar[str] = "wrong"
    kind: str = ""

    def targets(self, local: Local, published: Published) -> Tensor:
        if self.kind == "exit":
            sys.exit("enough")
        if self.kind == "type":
            return local.labels.long()
        return local.labels[:, :1] if self.kind == "targets" else local.labels

    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        return logits * float("nan") if self.kind == "nan" else logits

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor | None:
        return torch.zeros(()) if self.kind == "penalty" else None

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        return ["nowhere"] if self.kind == "chosen" else list(parameters)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("exit", "SystemExit: enough"),
        ("type", "ValueError: targets returned torch.int64, expected a tensor of torch.float32"),
        ("targets", "ValueError: targets returned shape (32, 1), expected (32, "),
        ("nan", "ValueError: logits returned NaN"),
        ("penalty", "ValueError: penalty returned shape (), expected shape ("),
    ],
)
def test_a_hook_that_goes_wrong_is_told(kind: str, found: str) -> None:
    assert fault(Wrong(kind), f"runs on {MODELS[0]}").startswith(found)


@dataclass(frozen=True)
class Narrow(ClientStrategy):
    """Puts a vector in the place of a matrix."""

    name: ClassVar[str] = "narrow"

    def trainable(self, parameter: str) -> bool:
        return parameter == "deep.layers.0.weight"

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter:
        return Adapter({"vector": weight[0]}, lambda origin, tuned: tuned["vector"])


def test_an_adapter_of_another_shape_is_told() -> None:
    found = fault(Narrow(), f"runs on {MODELS[2]}")
    assert found.startswith("ValueError: adapter of deep.layers.0.weight made shape (")


def test_a_parameter_that_no_model_has() -> None:
    refused = fault(Wrong("chosen"), "finds something to tune in one model at least")
    assert refused.startswith("lr: chosen named 'nowhere', which is none of the parameters")


@dataclass(frozen=True)
class Median(ClientStrategy):
    """Keeps the better half of the users, or answers for one of them only."""

    name: ClassVar[str] = "median"
    answers: str = "all"

    def held_out(self) -> float:
        return 0.3

    def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
        return torch.stack([scored.published, scored.tuned])

    def choose(self, judged: Judged) -> Integers:
        gain = judged.log_loss[0] - judged.log_loss[1]
        better: Integers = (gain >= np.nanmedian(gain)).astype(np.int64)
        return better if self.answers == "all" else better[:1]


@pytest.mark.filterwarnings("ignore:All-NaN slice encountered")
def test_a_user_is_judged_by_itself() -> None:
    rule = "judges each user as if it were alone"
    assert fault(Median(), rule).endswith(" is another one where the user is alone")
    assert fault(Median("one"), rule).startswith("UserError: ValueError: choose returned int64 (1,), expected int64 (")


@dataclass(frozen=True)
class Undecided(ClientStrategy):
    """Offers two candidates, and holds out nothing to tell them apart."""

    name: ClassVar[str] = "undecided"
    answer: str = "both"

    def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
        both = torch.stack([scored.published, scored.tuned])
        return {"both": both, "flat": both[0], "nan": both * float("nan"), "wide": both.double()}[self.answer]


@pytest.mark.parametrize(
    ("answer", "rule", "found"),
    [
        (
            "both",
            "judges each user as if it were alone",
            "UserError: ValueError: candidates returned 2 to choose from, but held_out keeps nothing to judge them by",
        ),
        (
            "flat",
            f"runs on {MODELS[0]}",
            "ValueError: candidates returned shape (32, 32), expected (candidates, 32, 32)",
        ),
        ("nan", f"runs on {MODELS[0]}", "ValueError: candidates returned NaN"),
        (
            "wide",
            f"runs on {MODELS[0]}",
            "ValueError: candidates returned torch.float64, expected a tensor of torch.float32",
        ),
    ],
)
def test_candidates_that_go_wrong(answer: str, rule: str, found: str) -> None:
    assert fault(Undecided(answer), rule) == found
