"""A grid as one file that repeats it, every default spelt out."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w

from fedctr.grid.axis import UNNAMED
from fedctr.grid.plan import Plan, Point, Sweep

_PLACES = ("path", "out")  # of each experiment its own


def to_toml(plan: Plan) -> str:
    """The resolved configuration: what all sweeps share at the top, and of each its own keys and axes."""
    own = [_own(sweep) for sweep in plan.sweeps]
    shared = {key: value for key, value in own[0].items() if all(keys.get(key) == value for keys in own)}
    top: dict[str, Any] = {**shared, "out": str(plan.out)}
    paths = {point.experiment.dataset: point.experiment.path for sweep in plan.sweeps for point in sweep.points}
    named = {dataset: str(path) for dataset, path in paths.items() if path is not None}
    top |= {"paths": named} if named else {}
    if [sweep.name for sweep in plan.sweeps] == [UNNAMED]:
        return tomli_w.dumps({**top, "axes": _axes(plan.sweeps[0])})
    blocks = [
        {"name": sweep.name, **{key: value for key, value in keys.items() if key not in shared}, "axes": _axes(sweep)}
        for sweep, keys in zip(plan.sweeps, own, strict=True)
    ]
    return tomli_w.dumps({**top, "sweep": blocks})


def _axes(sweep: Sweep) -> dict[str, Sequence[Any]]:
    return {axis.key: list(axis.values) for axis in sweep.axes}


def _own(sweep: Sweep) -> dict[str, Any]:
    """The keys that are no axes; left out is what follows from an axis, such as the split from the data set."""
    first, *others = (_beside_axes(sweep, point) for point in sweep.points)
    return {key: value for key, value in first.items() if all(values.get(key) == value for values in others)}


def _beside_axes(sweep: Sweep, point: Point) -> dict[str, Any]:
    values = tomllib.loads(point.experiment.to_toml())
    for key in (*_PLACES, *(axis.key for axis in sweep.axes)):
        _remove(values, key.split("."))
    return values


def _remove(values: dict[str, Any], key: Sequence[str]) -> None:
    first, *inner = key
    if not inner:
        values.pop(first, None)
    elif isinstance(values.get(first), Mapping):
        _remove(values[first], inner)
