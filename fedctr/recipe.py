"""How a client fine-tunes, whatever its strategy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent on the local samples, shuffled anew for every epoch.

    Attributes:
        seed: the run's seed; with the user it determines every shuffle.
        learning_rate: step size.
        epochs: passes over the local samples.
        batch_size: samples in a step; the last step of an epoch may have fewer.
    """

    seed: int
    learning_rate: float
    epochs: int
    batch_size: int = 32
