"""How a client fine-tunes, whatever its strategy."""

from dataclasses import dataclass
from typing import Literal

Optimiser = Literal["sgd", "adam"]


@dataclass(frozen=True)
class Recipe:
    """Steps along the gradient on minibatches of the local samples, shuffled anew for every epoch.

    Attributes:
        seed: the run's seed; with the user it determines every shuffle.
        learning_rate: step size.
        epochs: passes over the local samples.
        batch_size: samples in a step; the last step of an epoch may have fewer.
        optimiser: ``sgd`` for plain gradient descent, ``adam`` for Adam with PyTorch's defaults.
    """

    seed: int
    learning_rate: float
    epochs: int
    batch_size: int = 32
    optimiser: Optimiser = "sgd"
