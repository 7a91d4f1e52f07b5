"""Strategies made of others: ``label-correction[variant=anchored]+proximal[weight=0.1]+head-only``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fedctr.adapter import Adapter
from fedctr.errors import FedctrError
from fedctr.judgement import Integers, Judged
from fedctr.published import Published
from fedctr.registry import split_outside_brackets
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local, overrides, strategies

ALL = "all"  # among the strategies of a benchmark, every one that is installed and fits the model
JUDGING = ("held_out", "candidates", "choose")
ONE_OWNER = ("targets", "logits", "loss", "adapter", *JUDGING)
SHARED = ("penalty", "trainable", "chosen")


def strategy_of(text: str) -> ClientStrategy:
    """The strategy that a spec names, or that several names joined by ``+`` make up.

    Raises:
        FedctrError: for an unknown name or option, a value that a class refuses, or strategies that do not go together.
    """
    specs = split_outside_brackets(text, "+")
    if len(specs) > 1 and "" in specs:
        raise FedctrError(f"strategy {text!r}: expected a name on either side of +")
    parts = [strategies.create(spec) for spec in specs]
    if len(parts) == 1:
        return parts[0]
    try:
        return Composed.of(parts)
    except ValueError as error:
        raise FedctrError(f"strategy {text!r}: {error}") from None


def strategies_of(texts: Sequence[str]) -> dict[str, ClientStrategy]:
    """Spec to strategy, in the given order.

    Raises:
        FedctrError: as :func:`strategy_of`, and for two specs of one strategy.
    """
    found: dict[str, ClientStrategy] = {}
    for text in texts:
        strategy = strategy_of(text)
        twin = next((other for other, known in found.items() if known == strategy), None)
        if twin:
            raise FedctrError(f"strategies: {text} and {twin} are the same; leave one out")
        found[text] = strategy
    return found


@dataclass(frozen=True)
class Composed(ClientStrategy):
    """Several strategies at once.

    Each of the hooks in ``ONE_OWNER`` is that of the one component which overrides it. Penalties add up, and a device
    may change the parameters that every component allows.

    Attributes:
        parts: the components, in the order of their names.
    """

    name: ClassVar[str] = "composed"

    parts: tuple[ClientStrategy, ...]

    @classmethod
    def of(cls, parts: Sequence[ClientStrategy]) -> "Composed":
        """Put strategies together.

        Raises:
            ValueError: when one of them does not tune or changes nothing, two of them change the same or both correct
                the prior, or the loss of one would not see what another changes.
        """
        names = [part.name for part in parts]
        for part in parts:
            if not part.tunes:
                raise ValueError(f"{part.name} does not fine-tune, so nothing can be added to it")
            if not any(overrides(part, hook) for hook in ONE_OWNER + SHARED):
                raise ValueError(f"{part.name} adds nothing; leave it out")
            if names.count(part.name) > 1:
                raise ValueError(f"{part.name} is named twice")
        for hook in ONE_OWNER:
            owners = [part for part in parts if overrides(part, hook)]
            if len(owners) > 1:
                raise ValueError(f"{owners[0].name} and {owners[1].name} both decide on {hook}; leave one out")
            for blind in parts:
                if hook == "targets" and owners and not blind.reads_targets:
                    raise ValueError(f"the loss of {blind.name} does not read the targets of {owners[0].name}")
        if len(corrections := [part.name for part in parts if part.corrects_prior]) > 1:
            first, second, *_ = corrections  # of which one stops the drift, and both turn it round
            raise ValueError(f"{first} and {second} both correct the prior, and twice is too far; leave one out")
        for blind in parts:
            unseen = next((part for part in parts if part.moves_level and not blind.reads_level), None)
            if unseen:
                raise ValueError(
                    f"the loss of {blind.name} does not see {unseen.name}, the same for all of a user's samples"
                )
        return cls(tuple(sorted(parts, key=lambda part: part.name)))

    def targets(self, local: Local, published: Published) -> Tensor:
        """Those of the component that softens labels."""
        return self._owner("targets").targets(local, published)

    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        """Those of the component that adjusts them."""
        return self._owner("logits").logits(logits, local, published)

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        """That of the component with a loss of its own."""
        return self._owner("loss").loss(logits, targets, local, published)

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor | None:
        """The sum of all components' penalties."""
        total: Tensor | None = None
        for part in self.parts:
            penalty = part.penalty(parameters, origin)
            if penalty is not None:
                total = penalty if total is None else total + penalty
        return total

    def trainable(self, parameter: str) -> bool:
        """Whether every component allows it."""
        return all(part.trainable(parameter) for part in self.parts)

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        """The parameters that every component chooses."""
        choices = [set(part.chosen(parameters)) for part in self.parts]
        found = [name for name in parameters if all(name in choice for choice in choices)]
        if not found:
            raise ValueError(f"{' and '.join(part.name for part in self.parts)} have no parameter in common")
        return found

    def held_out(self) -> float:
        """That of the component that judges."""
        return self._owner("held_out").held_out()

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter | None:
        """That of the component that adapts."""
        return self._owner("adapter").adapter(name, weight, seed)

    def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
        """Those of the component that makes some."""
        return self._owner("candidates").candidates(scored, local, published)

    def choose(self, judged: Judged) -> Integers:
        """What the component that judges says."""
        return self._owner("choose").choose(judged)

    def components(self) -> tuple[ClientStrategy, ...]:
        """The components."""
        return self.parts

    def _owner(self, hook: str) -> ClientStrategy:
        """The component that overrides a hook; any, if none does."""
        return next((part for part in self.parts if overrides(part, hook)), self.parts[0])
