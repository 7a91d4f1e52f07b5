"""One user after the other in plain PyTorch: slow, easy to check by eye, and what both engines must equal."""

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch.func import functional_call

from fedctr.data.split import Part
from fedctr.features import Features, Rows
from fedctr.models.batch import Batch
from fedctr.models.model import Model
from fedctr.published import Published
from fedctr.randomness import permutations, uniform
from fedctr.recipe import Optimiser, Recipe
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local, added_penalty, minibatch_loss, soft_labels
from fedctr.tuning import Tuning

OPTIMISERS: dict[Optimiser, type[torch.optim.SGD | torch.optim.Adam]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
}


def fine_tune(
    published: Published, strategy: ClientStrategy, features: Features, user: int, recipe: Recipe
) -> Iterator[Model]:
    """Fine-tune a private copy of the published model on one user's training part.

    Yields:
        The copy after each epoch; it is tuned further when the next one is asked for.
    """
    rows, local = _local(published, features, user, recipe.seed)
    targets = soft_labels(strategy, local, published)
    model = copy.deepcopy(published.model).requires_grad_(False)  # only what is tuned has a gradient
    parameters = dict(model.named_parameters())
    tuning = Tuning.of(strategy, parameters, recipe.seed)
    origin = {name: parameters[name].detach().clone().unsqueeze(0) for name in tuning.parameters}
    tuned = {name: value.requires_grad_() for name, value in tuning.begin(origin).items()}
    optimiser = OPTIMISERS[recipe.optimiser](tuned.values(), lr=recipe.learning_rate)

    for epoch in range(1, recipe.epochs + 1):
        order = permutations(recipe.seed, f"shuffle {epoch}", np.array([user]), np.ones((1, len(rows)), dtype=bool))[0]
        for positions in torch.from_numpy(order).split(recipe.batch_size):
            batch = local.at(positions.unsqueeze(0))
            weights = tuning.weights(tuned, origin)
            own = {name: value.squeeze(0) for name, value in weights.items()}
            logits = functional_call(model, own, (_batch(features, user, rows[positions.numpy()]),))
            loss = minibatch_loss(strategy, logits, targets[:, positions], batch, published)
            penalty = added_penalty(strategy, weights, origin)
            if penalty is not None:
                loss = loss + penalty
            optimiser.zero_grad()
            loss.sum().backward()
            optimiser.step()
        with torch.no_grad():
            for name, value in tuning.weights(tuned, origin).items():
                parameters[name].copy_(value.squeeze(0))
        yield model


@torch.no_grad()
def score(model: Model, features: Features, user: int, part: Part) -> npt.NDArray[np.float32]:
    """Logits float32 (samples,) of one part of a user's samples."""
    logits: npt.NDArray[np.float32] = model(_batch(features, user, _rows(features, user, part)))[0].numpy()
    return logits


def candidates(
    published: Published, strategy: ClientStrategy, features: Features, user: int, recipe: Recipe, part: Part
) -> npt.NDArray[np.float32]:
    """What one user can choose from after all epochs, float32 (candidates, samples) of one part of its samples."""
    tuned = fine_tune(published, strategy, features, user, recipe) if strategy.tunes else ()
    logits = [score(published.model, features, user, part), *(score(model, features, user, part) for model in tuned)]
    rows, local = _local(published, features, user, recipe.seed)

    @torch.no_grad()
    def represent() -> tuple[torch.Tensor, torch.Tensor]:
        scored, train = (_batch(features, user, each) for each in (_rows(features, user, part), rows))
        return published.model.represent(scored), published.model.represent(train)

    found = strategy.candidates(Scored(torch.from_numpy(np.stack(logits))[:, None], represent), local, published)
    own: npt.NDArray[np.float32] = found[:, 0].numpy()
    return own


def _local(published: Published, features: Features, user: int, seed: int) -> tuple[Rows, Local]:
    """Rows of the samples that a user fine-tunes on, and what strategies see of them."""
    rows = _rows(features, user, "train")
    rows = rows if features.held is None else rows[features.held.of(rows)]
    labels = torch.from_numpy(features.dataset.label[rows].astype(np.float32)).unsqueeze(0)
    positives, samples = labels.sum(1, keepdim=True), torch.tensor([[float(len(rows))]])

    @torch.no_grad()
    def predict() -> torch.Tensor:
        logits: torch.Tensor = published.model(_batch(features, user, rows))
        return logits

    return rows, Local(
        labels=labels,
        mask=torch.ones_like(labels, dtype=torch.bool),
        positives=positives,
        samples=samples,
        ctr=positives / samples.clamp(min=1),
        predict=predict,
        random=lambda stage: torch.from_numpy(uniform(seed, stage, np.array([user]))).unsqueeze(1),
    )


def _rows(features: Features, user: int, part: Part) -> Rows:
    starts, stops = features.split.bounds(part)
    return np.arange(starts[user], stops[user])


def _batch(features: Features, user: int, rows: Rows) -> Batch:
    return features.batch(rows[None], np.array([[user]]))
