"""What a grid file asks for: sweeps, each over every combination of the values of its axes."""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedctr.composition import ALL, strategies_of
from fedctr.config import LOGISTICS, Experiment
from fedctr.data.loader import loaders
from fedctr.errors import FedctrError, did_you_mean
from fedctr.grid.axis import UNNAMED, Axis, label
from fedctr.models.model import models
from fedctr.registry import parse

Values = dict[str, Any]
_GRID_KEYS = ("axes", "sweep", "paths")
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Point:
    """One experiment of a grid.

    Attributes:
        coordinates: axis key to the value in words.
        experiment: what is run; its ``out`` is a folder of its own below that of the grid.
    """

    coordinates: dict[str, str]
    experiment: Experiment

    @property
    def name(self) -> str:
        """The experiment in a few words: ``din on movielens-100k, epochs=3``."""
        others = [f", {key}={text}" for key, text in self.coordinates.items() if key not in ("model", "dataset")]
        return f"{self.experiment.model} on {self.experiment.dataset}" + "".join(others)


@dataclass(frozen=True)
class Sweep:
    """Every combination of the values of some axes.

    Attributes:
        name: that of its folder and its picture.
        axes: in the order of the file.
        points: the last axis moves fastest.
    """

    name: str
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Plan:
    """All sweeps of a file.

    Attributes:
        out: the folder of the grid.
        sweeps: at least one, each with at least one point.
    """

    out: Path
    sweeps: tuple[Sweep, ...]

    @property
    def points(self) -> list[Point]:
        """All experiments, in the order in which they are run."""
        return [point for sweep in self.sweeps for point in sweep.points]

    def only(self, key: str, wanted: Sequence[str], option: str) -> "Plan":
        """The experiments whose data set or model is among those wanted; a name stands for all its options.

        Raises:
            FedctrError: for one that no experiment has, with the nearest names.
        """
        known = list(dict.fromkeys(getattr(point.experiment, key) for point in self.points))
        for name in wanted:
            if not any(name in (spec, parse(spec).name) for spec in known):
                hint = did_you_mean(name, known) or f"it has {', '.join(known)}"
                raise FedctrError(f"{option}: no experiment of the grid has {key} {name!r}; {hint}")
        if not wanted:
            raise FedctrError(f"{option}: name at least one of {', '.join(known)}")
        return replace(self, sweeps=tuple(_kept(self.sweeps, key, wanted)))

    def check(self) -> None:
        """Find every data set, model and strategy on its shelf, before the first experiment takes an hour.

        Raises:
            FedctrError: for an unknown name or option, a path for what is generated, a strategy listed twice, all, or a
                folder that holds something else.
        """
        if (self.out / "identity.json").is_file():
            raise FedctrError(f"{self.out}: holds a single run; choose another --out for the grid")
        if self.out.exists() and not self.out.is_dir():
            raise FedctrError(f"{self.out}: is a file, not a folder; choose another --out")
        experiments = [point.experiment for point in self.points]
        for dataset, path in dict.fromkeys((experiment.dataset, experiment.path) for experiment in experiments):
            if not loaders.create(dataset).needs_files and path is not None:
                raise FedctrError(f"data set {dataset} is generated, not read; leave out its path, found {path}")
        for model in dict.fromkeys(experiment.model for experiment in experiments):
            models.named(model, 1)  # the schema is no option
        for strategies in dict.fromkeys(experiment.strategies for experiment in experiments):
            if ALL in strategies:
                raise FedctrError(f"strategies: {ALL} is for a single experiment; in a grid name them")
            strategies_of(strategies)


def is_grid(values: Mapping[str, Any]) -> bool:
    """Whether an experiment file has axes or sweeps."""
    return "axes" in values or "sweep" in values


def plan(values: Mapping[str, Any], given: Mapping[str, Any], file: Path) -> Plan:
    """Read a grid.

    Args:
        values: the content of the file.
        given: options that override the file; one that is an axis leaves that axis with this value only.
        file: names the grid in errors and, without ``out``, its folder below ``runs/``.

    Raises:
        FedctrError: for the first wrong key or value, with file and experiment.
    """
    base = {key: value for key, value in values.items() if key not in _GRID_KEYS}
    Experiment.of(base, str(file))
    out = Path(given.get("out") or base.get("out") or Path("runs") / file.stem)
    paths = _table(values.get("paths", {}), f"{file}: paths")
    for name, path in paths.items():
        if not isinstance(path, str) or not path:
            raise FedctrError(f"{file}: paths: {name}: expected a folder or an archive, found {path!r}")
    blocks = values.get("sweep", [])
    if "axes" in values and "sweep" in values:
        raise FedctrError(f"{file}: found both [axes] and [[sweep]]; make the axes a sweep with a name")
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise FedctrError(f"{file}: sweep: expected [[sweep]] blocks, found {blocks!r}")
    if "axes" not in values and not blocks:
        raise FedctrError(f"{file}: sweep: expected at least one [[sweep]] block, found none")
    if "axes" in values:
        sweeps = [_sweep(UNNAMED, out, base, values["axes"], paths, given, str(file))]
    else:
        sweeps = [_named(out, base, block, paths, given, str(file)) for block in blocks]
    for name, count in Counter(sweep.name for sweep in sweeps).items():
        if count > 1:
            raise FedctrError(f"{file}: sweep: {count} are named {name!r}; give each a name of its own")
    found = Plan(out, tuple(sweeps))
    _check_paths(found, paths, given, file)
    return found


def _named(out: Path, base: Values, block: Values, paths: Values, given: Mapping[str, Any], file: str) -> Sweep:
    name = block.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FedctrError(f"{file}: sweep: name: expected letters, digits, - and _, found {name!r}")
    where = f"{file}: sweep {name}"
    if "out" in block:
        raise FedctrError(f"{where}: out: is that of the whole grid, found {block['out']!r}; move it above the sweeps")
    overriding = {key: value for key, value in block.items() if key not in ("name", "axes")}
    merged = _merged(base, overriding)
    Experiment.of(merged, where)
    return _sweep(name, out / name, merged, block.get("axes", {}), paths, given, where)


def _sweep(
    name: str, out: Path, base: Values, table: Any, paths: Values, given: Mapping[str, Any], where: str
) -> Sweep:
    axes = [
        Axis(axis.key, (given[axis.key],)) if axis.key in given else axis
        for axis in (_axis(key, values, where) for key, values in _flat(_table(table, f"{where}: axes")).items())
    ]
    if not axes:
        raise FedctrError(f"{where}: axes: name at least one key with a list of values, such as model = ['lr', 'din']")
    points: list[Point] = []
    for combination in itertools.product(*(axis.values for axis in axes)):
        values = deepcopy(base)
        coordinates = {axis.key: label(value) for axis, value in zip(axes, combination, strict=True)}
        told = f"{where}: {', '.join(f'{key}={text}' for key, text in coordinates.items())}"
        for axis, value in zip(axes, combination, strict=True):
            _set(values, axis.key, value, told)
        dataset = str(values.get("dataset", ""))
        path = paths.get(dataset, paths.get(dataset.partition("[")[0]))
        values |= {} if path is None else {"path": path}
        values |= {**given, "out": out.joinpath(*map(_slug, coordinates.items()))}
        points.append(Point(coordinates, Experiment.of(values, told)))
    for folder, count in Counter(point.experiment.out for point in points).items():
        if count > 1:
            raise FedctrError(f"{where}: axes: {count} experiments would share the folder {folder}; leave one out")
    return Sweep(name, tuple(axes), tuple(points))


def _axis(key: str, values: Any, where: str) -> Axis:
    if key in LOGISTICS:
        raise FedctrError(f"{where}: axes: {key} changes no result, so it is no axis")
    if not isinstance(values, list) or not values:
        raise FedctrError(f"{where}: axes: {key}: expected a list of values, found {values!r}")
    for text, count in Counter(map(label, values)).items():
        if count > 1:
            raise FedctrError(f"{where}: axes: {key}: {text} is listed twice")
    return Axis(key, tuple(values))


def _kept(sweeps: Sequence[Sweep], key: str, wanted: Sequence[str]) -> list[Sweep]:
    kept = []
    for sweep in sweeps:
        points = tuple(
            point
            for point in sweep.points
            if {getattr(point.experiment, key), parse(getattr(point.experiment, key)).name} & set(wanted)
        )
        left = {point.coordinates.get(key) for point in points}
        axes = tuple(
            replace(axis, values=tuple(value for value in axis.values if label(value) in left))
            if axis.key == key
            else axis
            for axis in sweep.axes
        )
        kept += [Sweep(sweep.name, axes, points)] if points else []
    return kept


def _check_paths(plan: Plan, paths: Values, given: Mapping[str, Any], file: Path) -> None:
    datasets = list(dict.fromkeys(point.experiment.dataset for point in plan.points))
    for name in paths:
        if "dataset" not in given and not any(name in (spec, parse(spec).name) for spec in datasets):
            raise FedctrError(
                f"{file}: paths: no experiment has the data set {name!r}; they have {', '.join(datasets)}"
            )


def _table(value: Any, where: str) -> Values:
    if not isinstance(value, dict):
        raise FedctrError(f"{where}: expected a table, found {value!r}")
    return value


def _flat(table: Values, prefix: str = "") -> Values:
    """Tables within as dotted keys: ``"cloud.epochs" = [1]`` and ``cloud.epochs = [1]`` are the same axis."""
    flat: Values = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _merged(base: Values, overriding: Values) -> Values:
    """Keys of the second win; tables are merged key by key."""
    merged = deepcopy(base)
    for key, value in overriding.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both_tables else deepcopy(value)
    return merged


def _set(values: Values, key: str, value: Any, where: str) -> None:
    *tables, last = key.split(".")
    for name in tables:
        values = _table(values.setdefault(name, {}), f"{where}: {name}")
    values[last] = value


def _slug(coordinate: tuple[str, str]) -> str:
    """A folder name; data sets and models speak for themselves."""
    key, text = coordinate
    name = text if key in ("dataset", "model") else f"{key}={text}"
    slug = re.sub("[^A-Za-z0-9.,=+_-]+", "-", name).strip("-.")
    return slug if len(slug) <= 60 else f"{slug[:53]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
