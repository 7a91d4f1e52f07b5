"""What a device has scored, from which it makes the candidates that it can choose from."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scored:
    """Samples of some users that are to be ranked, each user in its own row; nobody knows their labels.

    Attributes:
        logits: float32 (epochs + 1, users, samples): the published model's, then the user's own after each epoch.
    """

    logits: Tensor

    @property
    def published(self) -> Tensor:
        """The published model's logits, float32 (users, samples)."""
        return self.logits[0]

    @property
    def tuned(self) -> Tensor:
        """Those after the last epoch; of a strategy that does not tune, the published model's."""
        return self.logits[-1]

    def block(self, first: int, length: int) -> "Scored":
        """Neighbouring samples."""
        return Scored(self.logits[:, :, first : first + length])
