"""What a data set looks like to federated personalisation: how much there is, and how far users drift."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedctr.data.dataset import Dataset
from fedctr.data.split import Fractions, Part, Split, SplitRule, split
from fedctr.errors import FedctrError

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
PERCENTILES = (5, 25, 50, 75, 95)
FAR = 0.2  # a drift beyond this counts as large
BIN = 0.05  # width of a histogram's bar
_BARS, _MARK = "#4878a8", "#c44e52"


@dataclass(frozen=True)
class Description:
    """The figures of one data set; ``dataclasses.asdict`` makes it JSON.

    Local CTR, drift and global CTR are those of the training parts, as in fine-tuning; users without a
    training sample have neither. Quantiles are over users, keyed ``p5``, ``p25``, ``p50``, ``p75`` and
    ``p95``.

    Attributes:
        dataset: its name.
        users: number of users.
        items: number of items.
        samples: number of samples.
        bad_rows: malformed rows of the official files that were left out.
        ctr: share of positives among all samples.
        global_ctr: the same among the training samples of all users.
        local_ctr: quantiles of the users' own.
        drift: quantiles of local minus global CTR.
        mean_absolute_drift: mean of its absolute value over users.
        share_drifting_far: share of users whose drift exceeds 0.2 in absolute value.
        samples_per_user: quantiles of the number of samples.
        one_class_test_users: users whose test part is empty or has labels of one class only, so that it has
            no AUC.
    """

    dataset: str
    users: int
    items: int
    samples: int
    bad_rows: int
    ctr: float
    global_ctr: float
    local_ctr: dict[str, float]
    drift: dict[str, float]
    mean_absolute_drift: float
    share_drifting_far: float
    samples_per_user: dict[str, float]
    one_class_test_users: int


@dataclass(frozen=True, eq=False)
class Drift:
    """How the users' training CTRs lie about the global one.

    Attributes:
        local_ctr: float64 (users with a training sample,).
        global_ctr: over the training samples of all users.
    """

    local_ctr: Floats
    global_ctr: float

    @property
    def drift(self) -> Floats:
        """Local minus global CTR, float64 (users with a training sample,)."""
        return self.local_ctr - self.global_ctr


def measure_drift(dataset: Dataset, rule: SplitRule | None = None) -> Drift:
    """Local and global CTR of the training parts, which are never all empty in a checked data set."""
    samples, positives = _tally(dataset, split(dataset, rule or Fractions()), "train")
    has_any = samples > 0
    return Drift(positives[has_any] / samples[has_any], float(positives.sum() / samples.sum()))


def describe(dataset: Dataset, rule: SplitRule | None = None) -> Description:
    """Measure a data set as it is split by the rule (the usual shares when None)."""
    parts = split(dataset, rule or Fractions())
    measured = measure_drift(dataset, rule)
    test, test_positives = _tally(dataset, parts, "test")
    return Description(
        dataset=dataset.name,
        users=dataset.users,
        items=dataset.items,
        samples=dataset.samples,
        bad_rows=dataset.bad_rows,
        ctr=float(dataset.label.mean()),
        global_ctr=measured.global_ctr,
        local_ctr=_quantiles(measured.local_ctr),
        drift=_quantiles(measured.drift),
        mean_absolute_drift=float(np.abs(measured.drift).mean()),
        share_drifting_far=float((np.abs(measured.drift) > FAR).mean()),
        samples_per_user=_quantiles(np.diff(dataset.offsets)),
        one_class_test_users=int(((test_positives == 0) | (test_positives == test)).sum()),
    )


def histogram(values: Floats) -> list[tuple[float, int]]:
    """Centre and height of the bars of a histogram over users; the bars are 0.05 wide."""
    edges = _edges(values)
    heights, _ = np.histogram(values, edges)
    return [(float(edge + BIN / 2), int(height)) for edge, height in zip(edges, heights, strict=False)]


def draw(dataset: Dataset, path: Path, rule: SplitRule | None = None) -> None:
    """Save a picture of two histograms over users: local CTR about the global CTR, and drift.

    Args:
        dataset: what to draw.
        path: a file whose suffix names a format that matplotlib writes, such as ``.png`` or ``.svg``.
        rule: of the split; the usual shares when None.

    Raises:
        FedctrError: when the file cannot be written, or its format is unknown.
    """
    # Imported here because every look-up of a loader imports this module, and few need half a second of
    # matplotlib.
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    measured = measure_drift(dataset, rule)
    far = float((np.abs(measured.drift) > FAR).mean())
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    local, drift = figure.subplots(1, 2, sharey=True)
    local.hist(measured.local_ctr, bins=_edges(measured.local_ctr), color=_BARS)
    local.axvline(measured.global_ctr, color=_MARK)
    local.set_title(f"global CTR {measured.global_ctr:.1%}", loc="left", size="medium", color=_MARK)
    local.set(xlim=(-BIN / 2, 1 + BIN / 2), xlabel="local CTR", ylabel="users")
    local.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    drift.axvspan(-FAR, FAR, color="#eeeeee", zorder=0)
    drift.hist(measured.drift, bins=_edges(measured.drift), color=_BARS)
    drift.axvline(0, color=_MARK)
    drift.set_title(f"{far:.0%} of users drift by more than {FAR:g}", loc="left", size="medium")
    drift.set(xlabel="drift: local minus global CTR")
    for axes in (local, drift):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{dataset.name}: {dataset.users:,} users, {dataset.samples:,} samples")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise FedctrError(f"{path}: the picture cannot be saved ({error})") from error


def _edges(values: Floats) -> Floats:
    """Edges of bars centred on the multiples of ``BIN``, so that the frequent 0, 1/2 and 1 lie within."""
    low, high = np.rint(np.array([values.min(), values.max()]) / BIN)
    edges: Floats = (np.arange(low, high + 2) - 0.5) * BIN
    return edges


def _tally(dataset: Dataset, parts: Split, part: Part) -> tuple[Counts, Counts]:
    """Samples and positives of every user in one part, each int64 (users,)."""
    first, stop = parts.bounds(part)
    before = np.concatenate([[0], np.cumsum(dataset.label, dtype=np.int64)])
    return stop - first, before[stop] - before[first]


def _quantiles(values: Floats | Counts) -> dict[str, float]:
    return {f"p{percent}": float(np.percentile(values, percent)) for percent in PERCENTILES}
