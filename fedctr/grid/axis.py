"""An axis of a grid: an experiment key, and the values that it takes one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedctr.errors import FedctrError
from fedctr.hyperparameters import is_number
from fedctr.registry import parse

UNNAMED = "grid"  # the sweep of a file that has axes, and no sweeps with names
_TITLES = {
    "dataset": "data set",
    "learning_rates": "learning rate of fine-tuning",
    "epochs": "epochs of fine-tuning",
    "batch_size": "batch size of fine-tuning, samples",
    "cloud.learning_rate": "learning rate in the cloud",
    "cloud.epochs": "epochs in the cloud, at most",
    "local.most": "local samples per user, at most",
    "local.keep_positives": "share of the local positives that is kept",
    "local.keep_negatives": "share of the local negatives that is kept",
}
_OPTIONS = {
    "drift": "sd of the user intercepts, log-odds",
    "samples_per_user": "samples per user, mean",
    "taste": "sd of the affinity, log-odds",
}


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        key: an experiment key, dotted if it lies in a table: ``cloud.epochs``.
        values: as in an experiment file.
    """

    key: str
    values: tuple[Any, ...]

    @property
    def labels(self) -> list[str]:
        """The values in words."""
        return [label(value) for value in self.values]

    @property
    def title(self) -> str:
        """What a picture calls the axis."""
        name, option, _ = self._only_option()
        if option:
            return f"{name}: {_OPTIONS.get(option, option.replace('_', ' '))}"
        return _TITLES.get(self.key, self.key.replace("_", " ").replace(".", ": "))

    @property
    def numbers(self) -> list[float] | None:
        """The values as places on a line; None if they are no numbers.

        Specs that differ in one numeric option, such as ``synthetic[drift=0]`` and ``synthetic[drift=1]``, lie
        where that option is; lists of one number, where the number is.
        """
        values = self._only_option()[2] or [
            value[0] if isinstance(value, list) and len(value) == 1 else value for value in self.values
        ]
        return [float(value) for value in values] if all(map(is_number, values)) else None

    @property
    def short_labels(self) -> list[str]:
        """The values in a few characters, as a picture has room for them."""
        return [f"{number:g}" for number in self.numbers] if self.numbers else self.labels

    def _only_option(self) -> tuple[str, str, list[Any]]:
        """Name, option and values, where all values are specs of one name that differ in one option; else nothing."""
        nothing = "", "", list[Any]()
        if len(self.values) < 2 or not all(isinstance(value, str) for value in self.values):
            return nothing
        try:
            specs = [parse(value) for value in self.values]
        except FedctrError:
            return nothing
        first = specs[0]
        options = {option for spec in specs for option in spec.options}
        differing = [
            option for option in options if any(spec.options.get(option) != first.options.get(option) for spec in specs)
        ]
        if len({spec.name for spec in specs}) > 1 or len(differing) != 1:
            return nothing
        (option,) = differing
        values = [spec.options.get(option) for spec in specs]
        return (first.name, option, values) if all(map(is_number, values)) else nothing


def label(value: Any) -> str:
    """A value in words: ``0.1``, ``0.03,0.1``, ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, Mapping):
        return ",".join(f"{key}={label(inner)}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(label, value))
    return str(value)
