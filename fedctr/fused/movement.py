"""The part that PyTorch has in moving devices' weights: adapters, penalties and optimisers."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr.engine import pulls_of
from fedctr.fused.layout import Layout
from fedctr.fused.plan import ROOM, Integers
from fedctr.fused.state import Devices, Training
from fedctr.fused.tiles import Floats
from fedctr.optimiser import optimiser_of
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.stacking import LANES, Parameters
from fedctr.strategy import ClientStrategy, overrides
from fedctr.tuning import Tuning


class Movement:
    """How some devices' weights are moved; at least two, since PyTorch multiplies a single matrix in another way.

    Args:
        published: where every device starts.
        strategy: its hooks.
        tuning: what it tunes.
        layout: of the model.
        rows: int64 (fields,), rows of each field's tables that training may need.
        devices: with the published weights.
        gradients: float32 (devices, weights), room to add to where that is not the weights themselves.
        training: what the kernel is to move by steps of plain gradient descent.
        recipe: step size and optimiser.

    Attributes:
        moved: float32 (devices, weights), what the kernel adds to: the weights themselves where its gradients are all
            that moves them, else gradients.
        training: what it is to add, and how much of it.
    """

    def __init__(
        self,
        published: Published,
        strategy: ClientStrategy,
        tuning: Tuning,
        layout: Layout,
        rows: Integers,
        devices: Devices,
        gradients: Floats,
        training: Training,
        recipe: Recipe,
    ) -> None:
        self._strategy, self._tuning = strategy, tuning
        self._penalised = overrides(strategy, "penalty")
        apart = bool(tuning.adapters) or recipe.optimiser != "sgd"
        self.moved = gradients if apart else devices.weights
        self.training = training._replace(scale=np.float32(1)) if apart else training
        weights = torch.from_numpy(devices.weights)
        self._weights = layout.views(weights, rows)
        self._gradients = {}
        if apart:
            gathered = layout.views(torch.from_numpy(gradients), rows)
            self._gradients = {name: gathered[name] for name in tuning.parameters}
        parameters = dict(published.model.named_parameters())
        self._origin = {
            name: self._weights[name].clone()
            if name in layout.tables
            else parameters[name].detach().expand(self._weights[name].shape)
            for name in (tuning.parameters if self._penalised else tuning.adapters)
        }
        self._tuned = tuning.begin_adapters(self._origin)
        if self._penalised or apart:
            self._tuned |= {name: self._weights[name] for name in tuning.parameters if name not in tuning.adapters}
        # What only scored samples need of tables; so many rows that a function rounds alike however many there are.
        whole = layout.views(weights, layout.plan.fields[:, ROOM]) if tuning.adapters else {}
        self._unseen = {
            name: whole[name][:, self._weights[name].shape[1] :] for name in tuning.adapters if name in layout.tables
        }
        self._unseen_origin = {
            name: F.pad(rest, (0, 0, 0, -rest.shape[1] % LANES)) for name, rest in self._unseen.items()
        }
        self._optimiser = optimiser_of(recipe, self._tuned)

    @contextmanager
    def step(self, users: int, mask: Tensor) -> Iterator[None]:
        """Move the first users' weights when the kernel has gone backward.

        Args:
            users: who have samples in this step.
            mask: bool (users at least, samples), where they are.
        """
        active = max(users, 2)
        here = {name: value[:active].detach().requires_grad_() for name, value in self._tuned.items()}
        origin = {name: value[:active] for name, value in self._origin.items()}
        adapted = self._tuning.adapted(here, origin)
        self._write(adapted)
        pulls = pulls_of(self._strategy, self._tuning, here, origin, mask) if self._penalised else {}
        gradients = {name: value[:active] for name, value in self._gradients.items()}
        for gradient in gradients.values():
            gradient.zero_()
        yield
        own = {name: weight for name, weight in adapted.items() if weight.requires_grad}
        if own:
            torch.autograd.backward(list(own.values()), [gradients[name] for name in own])
        for name in gradients.keys() - adapted.keys():
            here[name].grad = gradients[name]
        self._optimiser.step(here, pulls, users)

    @torch.no_grad()
    def finish(self) -> None:
        """Give all devices the adapted weights that they score with."""
        self._write(self._tuning.adapted(self._tuned, self._origin))
        for name, weight in self._tuning.adapted(self._tuned, self._unseen_origin).items():
            self._unseen[name].copy_(weight[:, : self._unseen[name].shape[1]])

    @torch.no_grad()
    def _write(self, adapted: Parameters) -> None:
        for name, weight in adapted.items():
            self._weights[name][: len(weight)].copy_(weight)
