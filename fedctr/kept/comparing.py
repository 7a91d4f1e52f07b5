"""Two benchmarks side by side: the same strategies in both, user by user where the users are the same."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedctr.errors import FedctrError
from fedctr.folder import without_nan
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.kept.run import KeptRun, differing
from fedctr.kept.understanding import understood
from fedctr.statistics import paired_difference, unpaired_difference
from fedctr.user_rows import TestRows
from fedctr.verdict import REFERENCE

Floats = npt.NDArray[np.float64]
FIGURES = ("auc", "log_loss", "gain")
_COLUMNS = ("auc", "log_loss")


@dataclass(frozen=True)
class Comparison:
    """What two benchmarks have in common, and how far apart they are.

    Attributes:
        first: folder of the one.
        second: folder of the other.
        paired: whether differences are those of each user; else they are of the means over different users.
        settings: key to its values in both, where they differ.
        strategies: those of both; strategy to each of ``FIGURES`` to ``first`` and ``second``, each with ``mean`` over
            users and seeds and number of ``users``, and ``difference``, an ``Interval`` of second less first. ``gain``
            is the user AUC above that without fine-tuning, None where that cannot be said.
        only_first: strategies that the second does not have.
        only_second: strategies that the first does not have.
    """

    first: str
    second: str
    paired: bool
    settings: dict[str, tuple[str | None, str | None]]
    strategies: dict[str, dict[str, Any]]
    only_first: list[str]
    only_second: list[str]


def compare(first: KeptRun, second: KeptRun) -> Comparison:
    """Compare two benchmarks.

    They are paired if both have the very same samples, split as each likes: then over the users that have a number in
    both, and over the seeds that both have. Equal ids in different data are not taken for the same user.

    Raises:
        FedctrError: for another kind of run, one that is not finished, or when no strategy is in both.
    """
    runs = [_benchmark(run, first, second) for run in (first, second)]
    specs = [list(run.strategies) for run in runs]
    both = [spec for spec in specs[0] if spec in specs[1]]
    if not both:
        raise FedctrError(
            f"{first.folder} has {', '.join(specs[0])}; {second.folder} has {', '.join(specs[1])}: none is in both"
        )
    read = [_read(run) for run in runs]
    sides, settings = [rows for rows, _ in read], [found for _, found in read]
    paired = settings[0].get("content_hash") == settings[1].get("content_hash")
    columns = _aligned(*sides) if paired else tuple(side.columns for side in sides)
    return Comparison(
        str(first.folder),
        str(second.folder),
        paired,
        {key: values for key, values in differing(*settings).items() if key != "strategies"},
        {spec: _figures(spec, columns, paired, len(both)) for spec in both},
        [spec for spec in specs[0] if spec not in both],
        [spec for spec in specs[1] if spec not in both],
    )


Columns = Mapping[str, Mapping[str, Floats]]  # strategy to column to (users, seeds)
_INSTEAD = {
    "abtest": "an A/B test compares its arms itself, and users of another test are others; fedctr report {first} "
    "{second} --out both.html puts both on one page",
    "grid": "a grid has many benchmarks; name one of them, which fedctr runs {run} lists",
    "train": "a trained model has no users yet; fedctr bench --published {run} makes a benchmark of it",
}


def _benchmark(run: KeptRun, first: KeptRun, second: KeptRun) -> BenchmarkRun:
    if isinstance(run, BenchmarkRun):
        return run
    told = _INSTEAD.get(run.kind, "only two benchmarks or two trainings can be compared")
    raise FedctrError(f"{run.folder}: {told.format(run=run.folder, first=first.folder, second=second.folder)}")


def _read(run: BenchmarkRun) -> tuple[TestRows, dict[str, str]]:
    """Numbers of its users, and its settings."""
    with understood(run.folder):
        return run.test_rows(_COLUMNS), run.settings


def _aligned(first: TestRows, second: TestRows) -> tuple[Columns, Columns]:
    """The users and the seeds that both have, in the same order."""
    _, in_first, in_second = np.intersect1d(
        np.asarray(first.users), np.asarray(second.users), assume_unique=True, return_indices=True
    )
    seeds = min(column.shape[1] for column in (_any(first), _any(second)))

    def of(side: TestRows, place: npt.NDArray[np.intp]) -> Columns:
        return {
            spec: {name: column[place, :seeds] for name, column in found.items()}
            for spec, found in side.columns.items()
        }

    return of(first, in_first), of(second, in_second)


def _any(side: TestRows) -> Floats:
    """Any column; all have as many seeds."""
    return next(iter(side.columns.values()))[_COLUMNS[0]]


def _figures(spec: str, sides: tuple[Columns, ...], paired: bool, strategies: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for figure in FIGURES:
        values = [_values(side, spec, figure) for side in sides]
        first, second = values
        compared = strategies - (figure == "gain")
        found[figure] = None if first is None or second is None else _entry(first, second, paired, max(compared, 1))
    return found


def _values(side: Columns, spec: str, figure: str) -> Floats | None:
    if figure != "gain":
        return side[spec][figure]
    if spec == REFERENCE or REFERENCE not in side:
        return None
    gain: Floats = side[spec]["auc"] - side[REFERENCE]["auc"]
    return gain


def _entry(first: Floats, second: Floats, paired: bool, comparisons: int) -> dict[str, Any]:
    if paired:
        neither = np.isnan(first).any(axis=1) | np.isnan(second).any(axis=1)
        first, second = first[~neither], second[~neither]
        difference = paired_difference(second - first, comparisons)
    else:
        difference = unpaired_difference(first, second, comparisons)
    return {"first": _mean(first), "second": _mean(second), "difference": without_nan(asdict(difference))}


def _mean(values: Floats) -> dict[str, Any]:
    covered = values[~np.isnan(values).any(axis=1)]
    return {"mean": float(covered.mean()) if len(covered) else None, "users": len(covered)}
