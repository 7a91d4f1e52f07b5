from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from fedctr.conformance.strategy import MODELS, check
from fedctr.published import Published
from fedctr.strategy import ClientStrategy, Local, strategies
from tests.engine import Everything


def faults(strategy: ClientStrategy) -> dict[str, str]:
    return {finding.rule: finding.fault for finding in check(strategy) if finding.fault}


@pytest.mark.parametrize("strategy", [*(cls() for cls in strategies.classes().values()), Everything()], ids=repr)
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
    assert "agrees with the plain loop over users (wide-deep)" in faults(Padded())


calls = count()


@dataclass(frozen=True)
class Moody(ClientStrategy):
    """Never the same twice."""

    name: ClassVar[str] = "moody"

    def loss(self, logits: Tensor, targets: Tensor, local: Local) -> Tensor:
        return (1 + next(calls) % 7) * (logits - targets).square()


def test_it_must_do_the_same_again() -> None:
    assert "does the same when it is run again (lr)" in faults(Moody())


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

    def loss(self, logits: Tensor, targets: Tensor, local: Local) -> Tensor:
        if len(logits) == 1:
            raise RuntimeError("not alone")
        return super().loss(logits, targets, local)

    def held_out(self) -> float:
        return 2.0


def test_a_fault_of_one_engine_and_a_share_that_is_none() -> None:
    assert faults(Untyped()) == {
        **{f"runs on {model}": "RuntimeError: not alone" for model in MODELS},
        "holds out a share, or nothing": "ValueError: held_out returned 2.0, expected a share from 0 to below 1",
    }


def test_scores_must_be_finite() -> None:
    assert faults(Exploding())["gives finite scores (lr)"].endswith("are not finite")


@dataclass
class Soft(ClientStrategy):
    name: ClassVar[str] = "soft"

    weights: tuple[float, ...] = ()


def test_it_must_be_frozen_and_described() -> None:
    broken = faults(Soft())
    assert broken["is a frozen dataclass"].startswith("unhashable type: 'Soft': the dataclass is not frozen")
    assert broken["says in its docstring what it does"] == "the class has no docstring"


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
    fault = faults(Picky("nowhere"))["finds something to tune in one model at least"]
    assert fault.startswith("lr: trainable chose none of the parameters bias, ")
