"""What a device has scored, from which it makes the candidates that it can choose from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scored:
    """Samples of some users that are to be ranked, each user in its own row; nobody knows their labels.

    Attributes:
        logits: float32 (epochs + 1, users, samples): the published model's, then the user's own after each epoch.
        represent: gives ``representations`` and ``local_representations``.
    """

    logits: Tensor
    represent: Callable[[], tuple[Tensor, Tensor]]

    @property
    def published(self) -> Tensor:
        """The published model's logits, float32 (users, samples)."""
        return self.logits[0]

    @property
    def tuned(self) -> Tensor:
        """Those after the last epoch; of a strategy that does not tune, the published model's."""
        return self.logits[-1]

    @property
    def representations(self) -> Tensor:
        """The published model's penultimate layer, float32 (users, samples, width); computed only if asked for."""
        return self._represented[0]

    @property
    def local_representations(self) -> Tensor:
        """The same of the local samples, float32 (users, local samples, width)."""
        return self._represented[1]

    @cached_property
    def _represented(self) -> tuple[Tensor, Tensor]:
        return self.represent()

    def block(self, first: int, length: int) -> "Scored":
        """Neighbouring samples."""

        def represent() -> tuple[Tensor, Tensor]:
            return self.representations[:, first : first + length], self.local_representations

        return Scored(self.logits[:, :, first : first + length], represent)
