"""What of a model a strategy tunes."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fedctr.adapter import Adapter
from fedctr.stacking import Parameters, aligned, own
from fedctr.strategy import ClientStrategy, overrides, trainable_of


@dataclass(frozen=True, eq=False)
class Tuning:
    """The parameters that a strategy changes, each by itself or by an adapter in its place.

    Attributes:
        parameters: their names.
        adapters: of some of them.
    """

    parameters: list[str]
    adapters: Mapping[str, Adapter]

    @classmethod
    def of(cls, strategy: ClientStrategy, parameters: Mapping[str, Tensor], seed: int) -> "Tuning":
        """Ask the strategy.

        Args:
            strategy: its hooks.
            parameters: the published ones, by name.
            seed: of what the strategy draws at random.

        Raises:
            ValueError: when it finds nothing to tune.
        """
        names = trainable_of(strategy, parameters)
        found = {name: strategy.adapter(name, parameters[name].detach(), seed) for name in names}
        adapters = {name: adapter for name, adapter in found.items() if adapter is not None}
        if all(name in adapters and not adapters[name].start for name in names):
            raise ValueError("adapter returned nothing to tune for any parameter")
        return cls(names, adapters)

    def begin(self, origin: Parameters) -> Parameters:
        """What is tuned, as it is at first: a copy for each user.

        Args:
            origin: the parameters that users start from, each (users, *shape).
        """
        own_values = {name: own(origin[name]) for name in self.parameters if name not in self.adapters}
        return own_values | self.begin_adapters(origin)

    def begin_adapters(self, origin: Parameters) -> Parameters:
        """What adapters tune, as it is at first: a copy for each user."""
        return {
            f"{name}:{part}": own(value.to(origin[name]).expand(len(origin[name]), *value.shape))
            for name, adapter in self.adapters.items()
            for part, value in adapter.start.items()
        }

    def weights(self, tuned: Parameters, origin: Parameters) -> Parameters:
        """The parameters that change, each (users, *shape), of what is tuned and of those that users started from.

        Raises:
            ValueError: when an adapter makes another shape.
        """
        adapted = self.adapted(tuned, origin)
        return {name: aligned(adapted[name]) if name in adapted else tuned[name] for name in self.parameters}

    def adapted(self, tuned: Parameters, origin: Parameters) -> Parameters:
        """Those of them that adapters make, of all whose origin is given."""
        return {name: self._adapted(name, tuned, origin[name]) for name in self.adapters if name in origin}

    def _adapted(self, name: str, tuned: Parameters, origin: Tensor) -> Tensor:
        adapter = self.adapters[name]
        made = adapter.weight(origin, {part: tuned[f"{name}:{part}"] for part in adapter.start})
        if made.shape != origin.shape:
            raise ValueError(f"adapter of {name} made shape {tuple(made.shape)}, expected {tuple(origin.shape)}")
        return made


def check_tuning(strategy: ClientStrategy, parameters: Mapping[str, Tensor]) -> None:
    """Refuse parameters among which a strategy finds nothing to tune, or nothing to adapt though that is what it does.

    Raises:
        ValueError: naming them.
    """
    tuning = Tuning.of(strategy, parameters, seed=0)
    if overrides(strategy, "adapter") and not tuning.adapters:
        raise ValueError(f"adapter has nothing to put in the place of {', '.join(tuning.parameters)}")
