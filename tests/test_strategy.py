import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fedctr.published import Published
from fedctr.strategy import (
    ClientStrategy,
    Local,
    added_penalty,
    cross_entropy_gradient,
    minibatch_loss,
    overrides,
    share_held_out,
    soft_labels,
    strategies,
    trainable_of,
)
from tests.engine import ANYTHING, Proximal, judged, local_of, scored_of

NAN = float("nan")
HOOKS = ("targets", "logits", "loss", "penalty", "trainable", "chosen", "adapter", "held_out", "candidates", "choose")


class Plain(ClientStrategy):
    """Overrides nothing."""

    name = "plain"


# ------------------------------------------------------------------------------------ the local samples


def test_a_users_mean_leaves_padding_out_and_is_0_without_samples() -> None:
    local = local_of([1, 0, 1, 1], [1, 0], [])
    values = torch.tensor([[1.0, 2, 3, 4], [1, 2, 99, 99], [99, 99, 99, 99]])
    assert local.mean(values).tolist() == [[2.5], [1.5], [0.0]]
    assert local.ctr.tolist() == [[0.75], [0.5], [0.0]]


def test_a_minibatch_holds_the_samples_at_its_positions_and_speaks_of_all() -> None:
    local = local_of([1, 0, 1], [0, 1], published_logits=torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
    batch = local.at(torch.tensor([[2, 1], [1, 2]]))
    assert batch.labels.tolist() == [[1, 0], [1, 0]]
    assert batch.mask.tolist() == [[True, True], [True, False]]
    assert batch.published_logits.tolist() == [[3, 2], [5, 6]]
    assert batch.positives is local.positives
    assert batch.samples is local.samples
    assert batch.ctr is local.ctr


def test_the_position_of_no_sample_is_padding() -> None:
    batch = local_of([1, 1, 1]).at(torch.tensor([[2, -1]]))
    assert batch.labels.tolist() == [[1, 0]]
    assert batch.mask.tolist() == [[True, False]]


def test_a_block_is_the_minibatch_of_the_first_users_neighbouring_samples() -> None:
    logits = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    batch = local_of([1, 0, 1], [0, 1], published_logits=logits).block(1, 2, 1)
    assert batch.labels.tolist() == [[0, 1]]
    assert batch.mask.tolist() == [[True, True]]
    assert batch.published_logits.tolist() == [[2, 3]]
    assert (batch.positives.tolist(), batch.samples.tolist()) == ([[2]], [[3]])
    assert batch.ctr.tolist() == [[pytest.approx(2 / 3)]]


def test_the_published_models_logits_are_computed_once_and_only_if_asked_for() -> None:
    asked = 0

    def predict() -> Tensor:
        nonlocal asked
        asked += 1
        return torch.tensor([[1.0, 2.0]])

    local = replace(local_of([1, 0]), predict=predict)
    first, second = local.at(torch.tensor([[1, 0]])), local.block(0, 1, 1)
    assert asked == 0
    assert first.published_logits.tolist() == [[2.0, 1.0]]
    assert second.published_logits.tolist() == [[1.0]]
    assert first.block(1, 1, 1).published_logits.tolist() == [[1.0]]
    assert asked == 1


# ------------------------------------------------------------------------------------------ the defaults


def test_a_strategy_that_overrides_nothing_is_plain_fine_tuning() -> None:
    local, plain = local_of([1, 0, 0], [1]), Plain()
    logits = torch.tensor([[0.5, -1.0, 2.0], [3.0, 7.0, 7.0]])
    assert plain.tunes
    assert plain.citation == ""
    assert plain.targets(local, ANYTHING) is local.labels
    assert plain.logits(logits, local, ANYTHING) is logits
    assert plain.penalty({}, {}) is None
    assert plain.trainable("bias")
    assert plain.chosen(["weight", "bias"]) == ["weight", "bias"]
    assert plain.held_out() == 0
    assert plain.components() == (plain,)
    tuned = torch.tensor([[[0.0, 1.0]], [[2.0, 3.0]]])
    assert plain.candidates(scored_of(tuned), local, ANYTHING).tolist() == [[[2, 3]]]
    assert not any(overrides(plain, hook) for hook in HOOKS)
    losses = plain.loss(logits, local.labels, local, ANYTHING)
    assert losses[0].tolist() == pytest.approx([math.log1p(math.exp(z)) for z in (-0.5, -1.0, 2.0)])


def test_without_a_say_of_its_own_a_device_takes_the_least_log_loss_and_of_equals_the_first() -> None:
    seen = judged(log_loss=[[0.6, 0.5, NAN], [0.4, 0.5, NAN], [0.5, 0.7, NAN]])
    assert Plain().choose(seen).tolist() == [1, 0, 0]


def test_each_users_loss_is_the_mean_of_its_own_samples() -> None:
    local = local_of([1, 1, 0], [0], [])
    found = minibatch_loss(Plain(), torch.zeros(3, 3), local.labels, local, ANYTHING)
    assert found.tolist() == pytest.approx([math.log(2), math.log(2), 0.0])


def test_the_loss_is_that_of_the_logits_that_the_strategy_makes() -> None:
    class Doubled(Plain):
        def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
            return 2 * logits

        def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
            return logits - targets

    local = local_of([1, 0])
    found = minibatch_loss(Doubled(), torch.tensor([[3.0, 5.0]]), torch.tensor([[0.5, 1.5]]), local, ANYTHING)
    assert found.tolist() == [(6 - 0.5 + 10 - 1.5) / 2]


users_labels = st.lists(st.lists(st.integers(0, 1), max_size=6), min_size=1, max_size=5).filter(any)


@given(users=users_labels, seed=st.integers(0, 99))
def test_the_closed_form_of_the_losss_gradient_is_autograds(users: list[list[int]], seed: int) -> None:
    local = local_of(*users, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    logits = (5 * torch.randn(local.labels.shape, generator=generator, dtype=torch.float64)).requires_grad_()
    targets = torch.rand(local.labels.shape, generator=generator, dtype=torch.float64) * 1.4 - 0.2  # may leave [0, 1]
    (expected,) = torch.autograd.grad(minibatch_loss(Plain(), logits, targets, local, ANYTHING).sum(), logits)
    found = cross_entropy_gradient(logits.detach(), targets, local.mask)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
    assert not found[~local.mask].any()


def test_the_gradient_of_the_loss_by_hand() -> None:
    local = local_of([1, 0], [1], [])
    found = cross_entropy_gradient(torch.zeros(3, 2), torch.tensor([[1.0, 0.25], [1.0, 0.0], [0.0, 0.0]]), local.mask)
    assert found.tolist() == [[-0.25, 0.125], [-0.5, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("junk", [NAN, float("inf")])
def test_what_stands_in_the_padding_is_of_no_account(junk: float) -> None:
    local = local_of([1, 0, 1], [0])
    logits = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    targets = torch.where(local.mask, local.labels, junk)

    class Junk(Plain):
        def targets(self, local: Local, published: Published) -> Tensor:
            return targets

        def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
            return torch.where(local.mask, super().loss(logits, local.labels, local, published), junk)

    assert soft_labels(Junk(), local, ANYTHING) is targets
    loss = minibatch_loss(Junk(), logits, targets, local, ANYTHING)
    assert loss.tolist() == pytest.approx([math.log(2)] * 2)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.isfinite(gradient).all()
    assert not gradient[1, 1:].any()


# -------------------------------------------------------------------------------------------- the checks


def answering(values: Tensor, hook: str) -> ClientStrategy:
    """A strategy one of whose hooks gives this answer."""
    return type("Answering", (Plain,), {hook: lambda self, *arguments: values})()  # type: ignore[no-any-return]


@pytest.mark.parametrize("shape", [(), (2,), (3,), (2, 1), (2, 4), (1, 2, 3)])
def test_a_hook_that_returns_another_shape_is_named(shape: tuple[int, ...]) -> None:
    local, odd = local_of([1, 0, 1], [0]), torch.zeros(shape)
    logits = torch.zeros(2, 3)
    expected = rf"returned shape \({', '.join(map(str, shape))},?\), expected \(2, 3\)"
    with pytest.raises(ValueError, match=f"^targets {expected}"):
        soft_labels(answering(odd, "targets"), local, ANYTHING)
    for hook in ("logits", "loss"):
        with pytest.raises(ValueError, match=f"^{hook} {expected}"):
            minibatch_loss(answering(odd, hook), logits, local.labels, local, ANYTHING)


def test_a_hook_that_returns_something_else_is_named() -> None:
    local, logits = local_of([1, 0]), torch.zeros(1, 2)
    nothing: Any = None
    with pytest.raises(ValueError, match=r"targets returned NoneType, expected a tensor of torch\.float32"):
        soft_labels(answering(nothing, "targets"), local, ANYTHING)
    with pytest.raises(ValueError, match=r"targets returned torch\.int32, expected a tensor of torch\.float32"):
        soft_labels(answering(local.labels.int(), "targets"), local, ANYTHING)
    for hook in ("logits", "loss"):
        with pytest.raises(ValueError, match=f"{hook} returned NoneType, expected a tensor"):
            minibatch_loss(answering(nothing, hook), logits, local.labels, local, ANYTHING)


@pytest.mark.parametrize("share", [None, True, 1, 2.0, -0.1, NAN, "0.2"])
def test_what_is_held_out_must_be_a_share(share: Any) -> None:
    class Odd(Plain):
        def held_out(self) -> float:
            found: float = share
            return found

    with pytest.raises(ValueError, match=r"held_out returned .*, expected a share from 0 to below 1"):
        share_held_out(Odd())
    assert share_held_out(Plain()) == 0


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
def test_targets_must_be_finite_wherever_there_is_a_sample(value: float) -> None:
    with pytest.raises(ValueError, match="targets returned NaN or an infinite value"):
        soft_labels(answering(torch.tensor([[0.5, value]]), "targets"), local_of([1, 0]), ANYTHING)


@pytest.mark.parametrize("hook", ["logits", "loss"])
def test_nan_is_a_hooks_fault_unless_the_users_model_has_diverged(hook: str) -> None:
    local = local_of([1, 0], [1, 0])
    strategy = answering(torch.tensor([[0.5, NAN], [0.5, 0.5]]), hook)
    with pytest.raises(ValueError, match=f"{hook} returned NaN"):
        minibatch_loss(strategy, torch.zeros(2, 2), local.labels, local, ANYTHING)
    for extreme in (1e30, float("inf"), NAN):
        logits = torch.tensor([[extreme, 0.0], [0.0, 0.0]])
        loss = minibatch_loss(strategy, logits, local.labels, local, ANYTHING)
        assert torch.isnan(loss).tolist() == [True, False]
    with pytest.raises(ValueError, match=f"{hook} returned NaN"):  # another's divergence is no excuse
        minibatch_loss(strategy, torch.tensor([[0.0, 0.0], [1e30, 0.0]]), local.labels, local, ANYTHING)


def test_a_penalty_is_one_number_per_user() -> None:
    parameters = {"a": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "b": torch.tensor([[[1.0]], [[5.0]]])}
    origin = {name: torch.zeros_like(value) for name, value in parameters.items()}
    penalty = added_penalty(Proximal(2.0), parameters, origin)
    assert penalty is not None
    assert penalty.tolist() == [6.0, 50.0]
    assert added_penalty(Plain(), parameters, origin) is None
    for shape in ((), (1,), (3,), (2, 1)):
        with pytest.raises(ValueError, match=r"penalty returned shape \(.*\), expected shape \(2,\)"):
            added_penalty(answering(torch.zeros(shape), "penalty"), parameters, origin)


def test_some_parameter_must_be_trainable() -> None:
    class Biases(Plain):
        def trainable(self, parameter: str) -> bool:
            return parameter.endswith("bias")

    assert trainable_of(Plain(), ["weight", "bias"]) == ["weight", "bias"]
    assert trainable_of(Biases(), ["weight", "bias"]) == ["bias"]
    with pytest.raises(ValueError, match="trainable chose none of the parameters weight, table"):
        trainable_of(Biases(), ["weight", "table"])


def test_a_parameter_that_the_model_does_not_have_is_named() -> None:
    class Word(Plain):
        def chosen(self, parameters: Sequence[str]) -> list[str]:
            return ["weight", "wait"]

    with pytest.raises(ValueError, match="chosen named 'wait', which is none of the parameters weight, bias"):
        trainable_of(Word(), ["weight", "bias"])


def test_which_parameters_are_tuned_may_depend_on_all_of_them() -> None:
    class Last(Plain):
        def chosen(self, parameters: Sequence[str]) -> list[str]:
            return [parameters[-1]]

    assert trainable_of(Last(), ["layers.0", "layers.1"]) == ["layers.1"]
    assert trainable_of(Last(), iter(["layers.0"])) == ["layers.0"]


# ---------------------------------------------------------------------------------------------- the shelf


def test_the_shelf_holds_what_scripts_call_by_name() -> None:
    expected = {"no-fine-tuning", "fine-tuning", "label-correction", "logit-adjustment", "pairwise"}
    expected |= {"head-only", "bias-only", "proximal", "joint", "gate", "early-stopping", "mixture", "knn-per"}
    expected |= {"reweighting", "listwise", "distillation", "embeddings-only", "label-smoothing", "random-target"}
    assert expected | {"gap-only", "wrong-direction"} <= set(strategies.classes())


@pytest.mark.parametrize("name", strategies.classes())
def test_every_strategy_is_made_from_its_name_alone_and_says_what_it_does(name: str) -> None:
    strategy = strategies.create(name)
    assert strategy == type(strategy)()
    assert strategy.name == name
    assert type(strategy).__doc__
    with pytest.raises((AttributeError, TypeError)):
        strategy.anything = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", strategies.classes())
def test_hooks_treat_each_user_as_if_it_were_alone(name: str) -> None:
    strategy = strategies.create(name)
    users = ([1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 1, 1])
    published_logits, logits = (torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    together = local_of(*users, published_logits=published_logits)
    targets = soft_labels(strategy, together, ANYTHING)
    losses = minibatch_loss(strategy, logits, targets, together, ANYTHING)
    assert torch.isfinite(losses).all()
    for user, labels in enumerate(users):
        alone = local_of(labels, published_logits=published_logits[user : user + 1], first=user)
        own = soft_labels(strategy, alone, ANYTHING)
        torch.testing.assert_close(targets[user], own[0])
        loss = minibatch_loss(strategy, logits[user : user + 1], own, alone, ANYTHING)
        torch.testing.assert_close(losses[user], loss[0])
