"""What a device tunes in the place of a weight."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Adapter:
    """A weight written as a function of the published one and of other numbers, which are tuned in its place.

    Attributes:
        start: what every device begins with, float32 of any shapes, by name. The weight should then be the published
            one, so that a device without samples changes nothing.
        weight: gives the weights (users, *shape) of the published ones, in the same shape, and of what is tuned,
            each with a leading user axis. A matrix product in it is a :func:`fedctr.models.descent.product`. Of an
            embedding table it makes each row by itself, element by element: how many there are is no one user's matter.
    """

    start: Mapping[str, Tensor]
    weight: Callable[[Tensor, Mapping[str, Tensor]], Tensor]
