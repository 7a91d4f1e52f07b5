"""A picture of each sweep: how differences in user AUC move along its axes."""

import itertools
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedctr.grid.axis import Axis
from fedctr.grid.rows import Row, rows
from fedctr.grid.tables import title_of
from fedctr.grid.work import Outcome
from fedctr.palette import SERIES
from fedctr.picture import LABELS
from fedctr.verdict import BASELINES, FEWEST, REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BUCKETS = "vs_no_fine_tuning.by_drift."
_LIMITS = ("mean", "low", "high")
_ABREAST = 3  # panels in a row, by drift
_BANDS = 3  # more of them cannot be told apart


def draw(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """Draw ``NAME.png`` and ``.svg`` of one sweep, and ``NAME-by-drift`` where it has a single axis.

    Args:
        outcomes: of all experiments of the sweep; those without numbers leave gaps.
        folder: where the pictures go.

    Returns:
        The files; none where there is no difference to draw.
    """
    axes = outcomes[0].sweep.axes
    found = [row for row in rows(outcomes) if row["status"] == "done"]
    keys = [key for key in BASELINES if any(row.get(f"{key}.low") is not None for row in _compared(found, key))]
    if not keys:
        return []
    figures = {outcomes[0].sweep.name: _along(axes, found, keys, title_of(outcomes))}
    buckets = _buckets(found)
    if len(axes) == 1 and buckets:
        figures[f"{outcomes[0].sweep.name}-by-drift"] = _by_drift(axes[0], found, buckets, title_of(outcomes))
    return [file for name, figure in figures.items() for file in _save(figure, folder, name)]


def _along(axes: Sequence[Axis], found: list[Row], keys: list[str], title: str) -> "Figure":
    """Small multiples: a panel for each baseline, and for each value of the axes that do not run along x."""
    from matplotlib.figure import Figure  # takes a second to import, which other commands need not spend

    along = max(axes, key=lambda axis: (axis.numbers is not None, len(axis.values) if axis.numbers else 0))
    others = [axis for axis in axes if axis is not along and len(axis.values) > 1]
    combinations = list(itertools.product(*(zip(axis.labels, axis.short_labels, strict=True) for axis in others)))
    several = len(combinations) > 1
    down, across = (len(keys), len(combinations)) if several else (1, len(keys))
    figure = Figure(figsize=(max(9.0, 1.2 + 2.7 * across), 1.5 + 2.9 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey="row" if several else False)
    for (row, key), (column, combination) in itertools.product(enumerate(keys), enumerate(combinations)):
        panel = panels[row][column] if several else panels[0][row]
        place = {axis.key: text for axis, (text, _) in zip(others, combination, strict=True)}
        _panel(
            panel,
            along,
            [one for one in found if all(one[f"axis.{name}"] == text for name, text in place.items())],
            key,
        )
        if column == 0:
            panel.set_ylabel(f"{'user AUC' if several else 'change in user AUC,'} {LABELS[key]}")
        if row == 0 and several:
            shown = (f"{axis.title}: {short}" for axis, (_, short) in zip(others, combination, strict=True))
            panel.set_title(", ".join(shown), fontsize=9, loc="left")
        if row == down - 1 or not several:
            panel.set_xlabel(along.title)
    _finish(figure, found, keys, title, "95 % intervals, not corrected")
    return figure


def _panel(panel: "Axes", axis: Axis, found: list[Row], key: str) -> None:
    """One line for each strategy, with a band, or with bars side by side where bands would cover one another."""
    numbers = axis.numbers
    names = _names(found, [key])
    logarithmic = numbers is not None and _spaced_by_ratio(numbers)
    gap = _smallest_gap([math.log10(number) for number in numbers] if numbers and logarithmic else numbers or [0, 1])
    places = dict(zip(axis.labels, numbers or range(len(axis.values)), strict=True))
    for index, name in enumerate(names):
        colour, mark = _style(found, name)
        mine = [row for row in found if row["strategy"] == name and row.get(f"{key}.low") is not None]
        mine.sort(key=lambda row: places[row[f"axis.{axis.key}"]])
        x = [places[row[f"axis.{axis.key}"]] for row in mine]
        limits = [[row[f"{key}.{limit}"] for limit in _LIMITS] for row in mine]
        if numbers and len(names) <= _BANDS:
            mean, low, high = ([limit[which] for limit in limits] for which in range(3))
            panel.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
            panel.plot(x, mean, color=colour, marker=mark, ms=5, lw=1.6)
        else:
            aside = _dodge(index, len(names))
            moved = [10 ** (math.log10(place) + aside * gap) if logarithmic else place + aside * gap for place in x]
            _bars(panel, moved, limits, colour, mark, line=1.2 if numbers else 0)
    panel.axhline(0, color="#666666", lw=1)
    if logarithmic:
        panel.set_xscale("log")
    panel.set_xticks(list(places.values()), axis.short_labels)
    panel.minorticks_off()
    if not numbers:
        panel.set_xlim(-0.5, len(places) - 0.5)
        if max(map(len, axis.short_labels)) * len(places) > 30:
            panel.set_xticks(panel.get_xticks(), axis.short_labels, rotation=20, ha="right", rotation_mode="anchor")
    _plain(panel)


def _by_drift(axis: Axis, found: list[Row], buckets: list[str], title: str) -> "Figure":
    """A panel for each value of the axis: which users gain."""
    from matplotlib.figure import Figure

    across = min(len(axis.values), _ABREAST)
    down = math.ceil(len(axis.values) / across)
    figure = Figure(figsize=(max(9.0, 1.0 + 3.3 * across), 1.5 + 2.7 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharey=True)
    names = _names(found, ["vs_no_fine_tuning"])
    for number, (text, short) in enumerate(zip(axis.labels, axis.short_labels, strict=True)):
        panel = panels[number // across][number % across]
        here = {row["strategy"]: row for row in found if row[f"axis.{axis.key}"] == text}
        users = [
            max((row.get(f"{_BUCKETS}{bucket}.users") or 0 for row in here.values()), default=0) for bucket in buckets
        ]
        for index, name in enumerate(name for name in names if name in here):
            limits = [[here[name].get(f"{_BUCKETS}{bucket}.{limit}") for limit in _LIMITS] for bucket in buckets]
            known = [place for place, three in enumerate(limits) if None not in three and users[place] >= FEWEST]
            colour, mark = _style(found, name)
            x = [place + _dodge(index, len(names)) for place in known]
            _bars(panel, x, [limits[place] for place in known], colour, mark)
        panel.axhline(0, color="#666666", lw=1)
        panel.set_xticks(
            range(len(buckets)), [f"{bucket}\n{count:,}" for bucket, count in zip(buckets, users, strict=True)]
        )
        panel.set_xlim(-0.5, len(buckets) - 0.5)
        panel.set_title(f"{axis.title}: {short}", fontsize=9, loc="left")
        panel.set_xlabel("|local CTR - global CTR|, users")
        if number % across == 0:
            panel.set_ylabel("change in user AUC")
        _plain(panel)
    for panel in panels.flat[len(axis.values) :]:
        panel.set_visible(False)
    told = f"{title}, {LABELS['vs_no_fine_tuning']}, by |drift|"
    note = f"95 % intervals, not corrected; none below {FEWEST} users"
    _finish(figure, found, ["vs_no_fine_tuning"], told, note)
    return figure


def _bars(panel: "Axes", x: list[float], limits: list[list[Any]], colour: str, mark: str, line: float = 0) -> None:
    """Means with their intervals, each of ``limits`` mean, low and high, and a line between the means."""
    panel.vlines(x, [low for _, low, _ in limits], [high for _, _, high in limits], color=colour, lw=1.6)
    panel.plot(x, [mean for mean, _, _ in limits], color=colour, marker=mark, ms=4.5, lw=line)


def _finish(figure: "Figure", found: list[Row], keys: list[str], title: str, note: str) -> None:
    """Title and legend, both outside the panels."""
    from matplotlib.lines import Line2D

    seeds = sorted({row["seeds"] for row in found})
    plural = "" if seeds == [1] else "s"
    figure.suptitle(f"{title}; {' or '.join(map(str, seeds))} seed{plural}, {note}", x=0.01, ha="left", fontsize=11)
    handles = [
        Line2D([], [], color=colour, marker=mark, ms=5, lw=1.6, label=name)
        for name in _names(found, keys)
        for colour, mark in [_style(found, name)]
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4), frameon=False, fontsize=9)


def _save(figure: "Figure", folder: Path, name: str) -> list[Path]:
    from matplotlib import rc_context

    files = [folder / f"{name}.png", folder / f"{name}.svg"]
    with rc_context({"svg.hashsalt": name}):  # equal numbers, equal bytes
        figure.savefig(files[0], dpi=150)
        figure.savefig(files[1], metadata={"Date": None})
    return files


def _compared(found: Sequence[Row], key: str) -> list[Row]:
    """Rows that stand beside a baseline; no fine-tuning against plain is the mirror image of plain against none."""
    return [row for row in found if row["strategy"] not in (REFERENCE, BASELINES[key])]


def _names(found: Sequence[Row], keys: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(row["strategy"] for key in keys for row in _compared(found, key)))


def _style(found: Sequence[Row], name: str) -> tuple[str, str]:
    """The same colour and mark for a strategy in every panel."""
    order = _names(found, list(BASELINES))
    return SERIES[order.index(name) % len(SERIES)]


def _buckets(found: Sequence[Row]) -> list[str]:
    columns = dict.fromkeys(column for row in found for column in row)
    suffix = ".mean"
    return [
        column.removeprefix(_BUCKETS).removesuffix(suffix)
        for column in columns
        if column.startswith(_BUCKETS) and column.endswith(suffix)
    ]


def _dodge(index: int, count: int) -> float:
    """How far aside a strategy's bar stands, in shares of the gap to the neighbouring value."""
    return (index - (count - 1) / 2) * 0.7 / max(count, 1)


def _smallest_gap(numbers: Sequence[float]) -> float:
    return min((after - before for before, after in itertools.pairwise(sorted(numbers))), default=1.0)


def _spaced_by_ratio(numbers: Sequence[float]) -> bool:
    """Whether neighbouring numbers have a more even ratio than distance, over a wide range."""
    ordered = sorted(numbers)
    if len(ordered) < 3 or ordered[0] <= 0 or ordered[-1] / ordered[0] < 8:
        return False

    def unevenness(places: Sequence[float]) -> float:
        steps = [after - before for before, after in itertools.pairwise(places)]
        return statistics.pstdev(steps) / statistics.mean(steps)

    return unevenness([math.log(number) for number in ordered]) < unevenness(ordered)


def _plain(panel: "Axes") -> None:
    panel.grid(axis="y", color="#dddddd", lw=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
