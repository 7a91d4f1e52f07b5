"""The cohort engine: private copies of many users' models, fine-tuned at once.

Every tuned parameter gets a leading user axis, and the loss is the sum over users of each user's own mean, so one
backward pass yields every user's own gradient. Of a large embedding table only the rows that a user's samples use
are copied.

Results are the same to the bit whoever shares a cohort, beyond what :mod:`fedctr.cohort` does, because

- every user's weights begin at a multiple of 64 bytes: matrix products round by alignment;
- a strategy's hooks see the users repeated up to a multiple of ``LANES``, and its penalty sees tables padded to a
  multiple of ``SUMMED`` rows.
"""

from collections.abc import Collection, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr.cohort import Cohort
from fedctr.models.descent import Descent
from fedctr.models.model import Model
from fedctr.optimiser import optimiser_of
from fedctr.published import Published
from fedctr.randomness import permutations
from fedctr.recipe import Recipe
from fedctr.samples import taking
from fedctr.stacking import LANES, Parameters, filled, repeated
from fedctr.strategy import (
    ClientStrategy,
    Local,
    added_penalty,
    cross_entropy_gradient,
    has_own_loss,
    minibatch_loss,
    overrides,
    soft_labels,
)
from fedctr.tuning import Tuning

# Sums take this many floats at once; zeros that pad to a multiple of it do not change how the others are rounded.
SUMMED = 64


def fine_tune(
    published: Published,
    strategy: ClientStrategy,
    cohort: Cohort,
    local: Local,
    recipe: Recipe,
    personal: Parameters | None = None,
) -> Iterator[Parameters]:
    """Fine-tune a private copy of the published model for every user of the cohort.

    Args:
        published: the model to start from.
        strategy: its hooks.
        cohort: the users' samples; built with ``recipe.batch_size``.
        local: ``cohort.local(published, recipe.seed)``.
        recipe: step size, epochs, seed.
        personal: stacked parameters in which users start from values of their own; None where there are none.

    Yields:
        The stacked parameters after each epoch; they are tuned further when the next ones are asked for.

    Raises:
        ValueError: when a hook returns NaN or a wrong shape, or no parameter is trainable.
    """
    model, block = published.model, cohort.block
    origin = cohort.stack(model) | (personal or {})
    tuning = Tuning.of(strategy, dict(model.named_parameters()), recipe.seed)
    tuned = tuning.begin(origin)
    plain = not has_own_loss(strategy)
    penalised = overrides(strategy, "penalty")
    targets = torch.where(local.mask, soft_labels(strategy, local, published), 0.0)
    mask = cohort.train.mask.cpu().numpy()
    steps = -(-mask.sum(1) // recipe.batch_size)
    optimiser = optimiser_of(recipe, tuned)

    for epoch in range(1, recipe.epochs + 1):
        shuffle = permutations(recipe.seed, f"shuffle {epoch}", cohort.users, mask)
        order = in_blocks(torch.from_numpy(shuffle).to(targets.device), int(steps[0]), recipe.batch_size, block)
        shuffled = cohort.train.take(taking(order))
        everyone = repeated(order)
        shuffled_local, shuffled_targets = local.at(everyone), targets.gather(1, everyone.clamp(min=0))
        active = 0
        for step in range(int(steps[0])):
            if active != (active := max(2, int((steps > step).sum()))):
                # Users who have done all their steps are at the end, and are left out.
                moved = {name: value[:active].requires_grad_() for name, value in tuned.items()}
                here = {name: value[:active] for name, value in origin.items()}
                those = cohort.first(active)
            rows = active if plain else -(-active // LANES) * LANES
            batch = shuffled_local.block(step * block, block, rows)
            wanted = shuffled_targets[:rows, step * block : (step + 1) * block]
            private = filled(model, here | tuning.weights(moved, here))
            with optimiser.forward:
                logits = private(those.batch(shuffled.block(step * block, block, active)))
            pulls = pulls_of(strategy, tuning, moved, here, batch.mask, set(model.embeddings)) if penalised else {}
            if plain:
                logits.backward(cross_entropy_gradient(logits.detach(), wanted, batch.mask))
            else:
                others = logits.detach()[torch.arange(rows - active) % active]
                loss = minibatch_loss(strategy, torch.cat([logits, others]), wanted, batch, published)
                loss[:active].sum().backward()
            optimiser.step(moved, pulls, int((steps > step).sum()))
        with torch.no_grad():
            weights = tuning.weights(tuned, origin)
        yield origin | weights


def in_blocks(order: Tensor, steps: int, batch_size: int, block: int) -> Tensor:
    """Places (users, samples) cut into steps, each filled up with -1 to a block: (users, steps * block)."""
    order = order[:, : steps * batch_size]
    order = F.pad(order, (0, steps * batch_size - order.shape[1]), value=-1)
    return F.pad(order.view(len(order), steps, batch_size), (0, block - batch_size), value=-1).flatten(1)


def pulls_of(
    strategy: ClientStrategy,
    tuning: Tuning,
    moved: Parameters,
    origin: Parameters,
    mask: Tensor,
    tables: Collection[str] = (),
) -> dict[str, Tensor | None]:
    """The gradient of the strategy's penalty by all that is tuned; users without samples in this step have none.

    Args:
        strategy: its hooks.
        tuning: what it tunes.
        moved: that, as it is, each a leaf (users, ...).
        origin: the parameters that users started from.
        mask: bool (users at least, samples), where there are samples.
        tables: names of those whose rows depend on the cohort.
    """
    weights, published = tuning.weights(moved, origin), {name: origin[name] for name in tuning.parameters}
    penalty = added_penalty(strategy, _whole(weights, tables), _whole(published, tables))
    if penalty is None:
        return {}
    penalty = torch.where(mask[: len(penalty)].any(1), penalty, 0.0)
    gradients = torch.autograd.grad(penalty.sum(), list(moved.values()), allow_unused=True)
    return dict(zip(moved, gradients, strict=True))


def working_set(model: Model, cohort: Cohort, tuning: Tuning | None = None) -> int:
    """Bytes per user that a step of fine-tuning goes through: private weights, and what backward needs.

    Args:
        model: the published one.
        cohort: the users' samples.
        tuning: what is tuned; None for all parameters.
    """
    saved = 0

    def count(value: Tensor) -> Tensor:
        nonlocal saved
        saved += value.numel() * value.element_size()
        return value

    origin = cohort.stack(model)
    tuning = tuning or Tuning(list(origin), {})
    tuned = {name: value.requires_grad_() for name, value in tuning.begin(origin).items()}
    with torch.autograd.graph.saved_tensors_hooks(count, lambda value: value), Descent(0.0):
        weights = tuning.weights(tuned, origin)
        filled(model, origin | weights)(cohort.batch(cohort.train.block(0, cohort.block, len(cohort.users))))
    private = sum(value.numel() * value.element_size() for value in (tuned | weights).values())
    return (private + saved) // len(cohort.users)


def _whole(parameters: Parameters, tables: Collection[str]) -> Parameters:
    """Parameters whose tables are padded with zero rows, so that a sum over them is rounded as in any other cohort."""
    return {
        name: F.pad(value, (0, 0, 0, -value.shape[1] % SUMMED)) if name in tables else value
        for name, value in parameters.items()
    }
