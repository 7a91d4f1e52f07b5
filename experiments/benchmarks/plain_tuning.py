"""What a strategy tunes of a plain model, whose parameters are not divided and named as fedctr's are."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import workload
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from fedctr.adapter import Adapter
from fedctr.models.model import Model
from fedctr.strategy import ClientStrategy
from fedctr.tuning import Tuning


@dataclass(frozen=True)
class Place:
    """Where a parameter of fedctr's is in a plain model.

    Attributes:
        name: of the plain model's parameter.
        columns: which of its columns.
    """

    name: str
    columns: slice

    def of(self, model: nn.Module) -> Tensor:
        """The values, (1, *shape), as hooks see those of one user."""
        module, attribute = _owner(model, self.name)
        values: Tensor = getattr(module, attribute)
        return values[..., self.columns].unsqueeze(0)


def places(model: Model) -> dict[str, Place]:
    """Where each of the model's parameters is in the plain one."""
    found: dict[str, Place] = {}
    stops: dict[str, int] = {}
    for name, new in workload.neutral_names(model).items():
        first = stops.get(new, 0)
        stops[new] = first + model.get_parameter(name).shape[-1]
        found[name] = Place(new, slice(first, stops[new]))
    return found


def tune(model: nn.Module, strategy: ClientStrategy, published: Model) -> dict[str, Place]:
    """Freeze a plain model but for what the strategy tunes, by parametrisation where it does so by adapters.

    Args:
        model: the plain one, as it was published.
        strategy: its hooks.
        published: the same model of fedctr's.

    Returns:
        The places of what is tuned, under fedctr's names.
    """
    model.requires_grad_(False)
    parameters, all_places = dict(published.named_parameters()), places(published)
    tuning = Tuning.of(strategy, parameters, workload.SEED)
    for plain in dict.fromkeys(place.name for place in all_places.values()):
        own = [name for name, place in all_places.items() if place.name == plain]
        if tuning.adapters.keys().isdisjoint(own) and set(own) <= set(tuning.parameters):
            model.get_parameter(plain).requires_grad_()
        elif not set(own).isdisjoint(tuning.parameters):
            adapters = [
                tuning.adapters.get(name) or _itself(parameters[name], name in tuning.parameters) for name in own
            ]
            columns = [all_places[name].columns for name in own]
            register_parametrization(*_owner(model, plain), Adapted(columns, adapters))
    return {name: all_places[name] for name in tuning.parameters}


class Adapted(nn.Module):
    """A weight whose columns are made by adapters.

    Args:
        columns: those that each of the adapters makes, from the first to the last.
        adapters: they.
    """

    def __init__(self, columns: Sequence[slice], adapters: Sequence[Adapter]) -> None:
        super().__init__()
        self.columns, self.adapters = columns, adapters
        self.tuned = nn.ModuleList(
            nn.ParameterDict({part: value.detach().clone() for part, value in adapter.start.items()})
            for adapter in adapters
        )

    def forward(self, weight: Tensor) -> Tensor:
        """Of the published weight, (outputs, inputs)."""
        made = []
        for columns, adapter, tuned in zip(self.columns, self.adapters, self.tuned, strict=True):
            numbers = {part: value.unsqueeze(0) for part, value in tuned.named_parameters()}
            made.append(adapter.weight(weight[..., columns].unsqueeze(0), numbers).squeeze(0))
        return made[0] if len(made) == 1 else torch.cat(made, dim=-1)


def _itself(weight: Tensor, is_tuned: bool) -> Adapter:
    """For columns that have no adapter beside some that have."""
    if is_tuned:
        return Adapter({"weight": weight}, lambda origin, tuned: tuned["weight"])
    return Adapter({}, lambda origin, tuned: origin)


def _owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that has a parameter, and what it is called there."""
    path, _, attribute = name.rpartition(".")
    return model.get_submodule(path), attribute
