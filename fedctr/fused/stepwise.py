"""Fine-tuning where PyTorch has a part in every step.

Of a loss or logits of the strategy's own, the kernel gives the logits of a step, PyTorch their gradient, and the kernel
does the rest; what moves the weights beside it is in :mod:`fedctr.fused.movement`. To spare calls of PyTorch, some
users' steps go side by side; the hooks see as many users as in :mod:`fedctr.engine`, and shapes that are the same
whoever is there, so that their arithmetic rounds alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedctr.cohort import block_of
from fedctr.engine import in_blocks
from fedctr.fused import kernel
from fedctr.fused.layout import Layout
from fedctr.fused.movement import Movement
from fedctr.fused.people import Collected
from fedctr.fused.plan import Integers
from fedctr.fused.state import Bench, Devices, People, Training
from fedctr.fused.tiles import Floats
from fedctr.judgement import Logits
from fedctr.published import Published
from fedctr.randomness import permutations
from fedctr.recipe import Recipe
from fedctr.stacking import LANES, repeated
from fedctr.strategy import ClientStrategy, Local, has_own_loss, minibatch_loss
from fedctr.tuning import Tuning


@dataclass(frozen=True, eq=False)
class Stepwise:
    """Some users, each with a device.

    Attributes:
        layout: of the model.
        bench: a place of work.
        published: where every device starts.
        samples: of the users, those with most steps first.
        local: the same, as the strategy sees them.
        strategy: its hooks.
        tuning: what it tunes.
        training: the same for the kernel.
        devices: of the users; two at least.
        gradients: float32 (devices, weights), room for gradients of their weights.
    """

    layout: Layout
    bench: Bench
    published: Published
    samples: Collected
    local: Local
    strategy: ClientStrategy
    tuning: Tuning
    training: Training
    devices: Devices
    gradients: Floats

    def epochs(self, recipe: Recipe, targets: Tensor) -> Iterator[None]:
        """Fine-tune, and stop before the first epoch and after each.

        Args:
            recipe: step size, epochs and samples in a step.
            targets: float32 (users, samples), soft labels, 0 in the padding; the users repeated as in ``local``.
        """
        people, size, block = self.samples.people, recipe.batch_size, block_of(recipe.batch_size)
        rows = self.layout.rows(self.samples.mask.shape[1])
        kernel.begin(self.layout.plan, people, rows, self.devices, self.bench)
        self.devices.weights[len(self.samples.users) :] = self.devices.weights[0]
        movement = Movement(
            self.published, self.strategy, self.tuning, self.layout, rows, self.devices, self.gradients,
            self.training, recipe,
        )  # fmt: skip
        steps = -(-people.held // size)
        yield
        for epoch in range(1, recipe.epochs + 1):
            order = permutations(recipe.seed, f"shuffle {epoch}", self.samples.users, self.samples.mask)
            places = repeated(in_blocks(torch.from_numpy(order), int(steps[0]), size, block))
            shuffled, wanted = self.local.at(places), targets.gather(1, places.clamp(min=0))
            for step in range(int(steps[0])):
                active = int((steps > step).sum())
                part = slice(step * block, (step + 1) * block)
                batch = shuffled.block(part.start, block, -(-active // LANES) * LANES)
                here = self._minibatch(order[:active, step * size : (step + 1) * size], step * size)
                with movement.step(active, batch.mask):
                    self._descend(here, movement, wanted[: len(batch.mask), part], batch)
            movement.finish()
            yield

    def score(self, people: People, room: int = 0) -> Logits:
        """Logits float32 (users, samples) of the samples to be scored, or with room for at least so many."""
        users, samples = people.asked.shape
        found = np.zeros((users, max(samples, room)), dtype=np.float32)
        plan, logits = self.layout.plan, np.array([self.layout.plan.logits])
        kernel.score(plan, people, self.devices, self.bench, self.training, logits, found[..., np.newaxis])
        return found

    def _minibatch(self, order: Integers, first: int) -> People:
        """The first users, of whom the samples of a step are to be scored."""
        people, users = self.samples.people, len(order)
        places = np.take_along_axis(people.local[:users], order, axis=1)
        counts = np.minimum(people.held[:users] - first, order.shape[1])
        return people._replace(asked=places, scored=counts)

    def _descend(self, here: People, movement: Movement, targets: Tensor, batch: Local) -> None:
        """Have the kernel go backward, from the contract's own loss without PyTorch."""
        own, given = has_own_loss(self.strategy), targets
        if own:
            given = self._gradient(torch.from_numpy(self.score(here, targets.shape[1])), targets, batch)
        kernel.descend(
            self.layout.plan, here, self.devices, movement.moved, self.bench, movement.training,
            given.contiguous().numpy(), not own,
        )  # fmt: skip

    def _gradient(self, logits: Tensor, targets: Tensor, batch: Local) -> Tensor:
        """Of every user's loss, by its logits, float32 (users, samples)."""
        logits.requires_grad_()
        others = logits.detach()[torch.arange(len(targets) - len(logits)) % len(logits)]
        losses = minibatch_loss(self.strategy, torch.cat([logits, others]), targets, batch, self.published)
        (gradient,) = torch.autograd.grad(losses[: len(logits)].sum(), logits)
        return gradient
