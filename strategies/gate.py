"""A choice for each user: keep the tuned model only if a dry run on the user's own latest samples speaks for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from fedctr.strategy import ClientStrategy, Kept, Values

Judge = Literal["auc", "log-loss"]


@dataclass(frozen=True)
class Gate(ClientStrategy):
    """Leave the published model to every user whom a dry run on its latest samples does not show to gain.

    The dry run is fine-tuned on the earlier samples; a user who passes is fine-tuned on all of them. One without
    held-out samples, or without both classes among them if AUC decides, keeps the published model.

    Attributes:
        share: of the local samples, the latest, which are held out of the dry run.
        by: what is compared on them, ``auc`` or ``log-loss``.
        margin: by how much the tuned model must be better.
    """

    name: ClassVar[str] = "gate"

    share: float = 0.2
    by: Judge = "auc"
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.by not in get_args(Judge):
            raise ValueError(f"by {self.by!r} is none of {', '.join(get_args(Judge))}")
        if not isinstance(self.share, int | float) or not 0 < self.share < 1:
            raise ValueError(f"share {self.share!r} must be a number between 0 and 1")
        if not isinstance(self.margin, int | float) or not 0 <= self.margin < float("inf"):
            raise ValueError(f"margin {self.margin!r} must be a number of at least 0")

    def held_out(self) -> float:
        """The share."""
        return self.share

    def keep(self, tuned: Mapping[str, Values], published: Mapping[str, Values]) -> Kept:
        """Whether the dry run is better by more than the margin."""
        if self.by == "auc":
            return tuned["auc"] - published["auc"] > self.margin
        return published["log_loss"] - tuned["log_loss"] > self.margin
