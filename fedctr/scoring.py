"""What devices can choose from: candidate logits of the samples to score, trial by trial."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedctr.cohort import block_of
from fedctr.engines import Engine, Group
from fedctr.features import Rows
from fedctr.judgement import Columns, Judged, Logits
from fedctr.models.model import Model
from fedctr.protocol import Trial
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.scored import Scored
from fedctr.stacking import repeated
from fedctr.strategy import DIVERGING, ClientStrategy, overrides
from fedctr.task import Task
from fedctr.tuning import check_tuning


@dataclass(frozen=True, eq=False)
class Offer:
    """What some users can choose from in one trial.

    Attributes:
        trial: its hyperparameters.
        columns: what is known of each user.
        candidates: float32 (candidates, users, samples).
        mask: bool (users, samples), False in the padding.
        labels: uint8 (real samples,), one user after the other.
    """

    trial: Trial
    columns: Columns
    candidates: Logits
    mask: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.uint8]

    @property
    def judged(self) -> Judged:
        """What these samples say of the candidates."""
        return Judged.of(self.candidates[:, self.mask], self.labels, self.mask.sum(1))


def trials(published: Published, strategy: ClientStrategy, engine: Engine, task: Task, users: Rows) -> Iterator[Offer]:
    """Run all trials of a task for users out of :func:`gather`."""
    group = engine.group(users, task.seed)
    columns, mask, labels = group.columns, group.mask, group.labels[group.mask]
    rates, epochs = (task.learning_rates, task.epochs) if strategy.tunes else ((0.0,), (0,))
    for rate in rates:
        recipe = Recipe(task.seed, rate, max(epochs), task.batch_size, task.optimiser)
        for epoch, found in candidates(published, strategy, group, recipe, epochs):
            yield Offer(Trial(rate, epoch), columns, found, mask, labels)


def check_model(strategy: ClientStrategy, model: Model) -> None:
    """Refuse a model in which a strategy has nothing to work on.

    Raises:
        ValueError: when it finds no parameter to tune, or none to adapt, or reads representations and there are none.
    """
    reader = next((part for part in strategy.components() if part.reads_representations), None)
    if reader and not model.represents:
        raise ValueError(f"{reader.name} reads the penultimate layer of a deep network, and {model.name} has none")
    check_tuning(strategy, dict(model.named_parameters()))


def candidates(
    published: Published, strategy: ClientStrategy, group: Group, recipe: Recipe, epochs: Collection[int]
) -> Iterator[tuple[int, Logits]]:
    """Fine-tune some users, and say after some epochs what each of them can choose from.

    Args:
        published: the model to start from.
        strategy: its hooks.
        group: the users.
        recipe: how to fine-tune; its epochs are the last of those asked for.
        epochs: after which to say so; 0 is before the first one.

    Yields:
        Each of the epochs, and float32 (candidates, users, samples) of what is scored.

    Raises:
        ValueError: when a hook returns NaN or a wrong shape, or no parameter is trainable.
    """
    if not overrides(strategy, "candidates"):
        for epoch, found in group.logits(strategy, recipe, epochs):
            yield epoch, found[np.newaxis]
        return
    logits: list[Logits] = []
    for epoch, found in group.logits(strategy, recipe, range(recipe.epochs + 1)):
        logits.append(found)
        if epoch in epochs:
            yield epoch, _own_candidates(published, strategy, group, np.stack(logits), block_of(recipe.batch_size))


def _own_candidates(published: Published, strategy: ClientStrategy, group: Group, logits: Logits, block: int) -> Logits:
    """The strategy's, which sees a block of samples at a time, and as many users as its other hooks do.

    Shapes that depend on one user alone keep its bits what they are in any cohort.
    """
    device, users = group.local.labels.device, len(group.mask)
    mask = repeated(torch.from_numpy(group.mask).to(device))

    def represent() -> tuple[Tensor, Tensor]:
        scored, train = group.represent()
        return repeated(scored), repeated(train)

    own = torch.stack([repeated(each) for each in torch.from_numpy(logits).to(device)])
    scored = Scored(own, represent)
    found = []
    for first in range(0, mask.shape[1], block):
        part, real = scored.block(first, block), mask[:, first : first + block]
        found.append(_checked(strategy.candidates(part, group.local, published), part, real))
    result: Logits = torch.cat(found, dim=2)[:, :users].cpu().numpy()
    return result


def _checked(found: Tensor, scored: Scored, mask: Tensor) -> Tensor:
    """What the hook made of scored samples that are real where the mask is True, bool (users, samples)."""
    if not isinstance(found, Tensor) or found.dtype != torch.float32:
        kind = found.dtype if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"candidates returned {kind}, expected a tensor of torch.float32")
    if found.dim() != 3 or not len(found) or found.shape[1:] != mask.shape:
        expected = ", ".join(map(str, mask.shape))
        raise ValueError(f"candidates returned shape {tuple(found.shape)}, expected (candidates, {expected})")
    sane = mask & (scored.logits.abs() < DIVERGING).all(0)
    if torch.isnan(found[:, sane]).any():
        raise ValueError("candidates returned NaN")
    return found
