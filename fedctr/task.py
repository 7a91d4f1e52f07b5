"""What an engine is asked to do, whoever asks."""

from dataclasses import dataclass
from typing import Literal

from fedctr.data.split import Part
from fedctr.recipe import Optimiser, Recipe

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Task:
    """Every trial of a strategy with one seed, and the part of the samples that they are scored on.

    Attributes:
        part: the part to score.
        seed: the run's seed.
        learning_rates: to be tried, each on its own.
        epochs: after which to score, ascending.
        batch_size: samples in a step of fine-tuning.
        optimiser: what moves the weights.
        device: where to compute, ``cpu`` or ``cuda``.
    """

    part: Part
    seed: int
    learning_rates: tuple[float, ...]
    epochs: tuple[int, ...]
    batch_size: int
    optimiser: Optimiser = "sgd"
    device: Device = "cpu"

    @classmethod
    def of(cls, recipe: Recipe, part: Part) -> "Task":
        """A single trial, on the CPU."""
        return cls(part, recipe.seed, (recipe.learning_rate,), (recipe.epochs,), recipe.batch_size, recipe.optimiser)
