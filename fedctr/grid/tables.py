"""The tables of a grid: as text, Markdown and LaTeX, one block for each sweep, and as CSV with all numbers."""

from collections.abc import Callable, Sequence
from itertools import groupby, takewhile

from fedctr import block
from fedctr.block import Block
from fedctr.grid.rows import Row, rows
from fedctr.grid.work import Outcome
from fedctr.result_table import difference, number

CAPTION = (
    "Differences in user AUC with 95 % intervals (paired bootstrap over users and seeds); * excludes 0 after "
    "correction for all comparisons of its own experiment, not for those of the whole table. Users: those with both "
    "classes in test."
)
FIGURES = ["strategy", "user AUC", "GAUC", "vs no-fine-tuning", "vs fine-tuning", "users", "seeds"]
_LEFT = 1  # of the figures are words


def text(outcomes: Sequence[Outcome]) -> str:
    """For a terminal."""
    return block.text(_blocks(outcomes), CAPTION)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """For a README."""
    return block.markdown(_blocks(outcomes), CAPTION)


def latex(outcomes: Sequence[Outcome]) -> str:
    """For a paper."""
    return block.latex(_blocks(outcomes), CAPTION)


def comma_separated(outcomes: Sequence[Outcome]) -> str:
    """All numbers, unrounded, for other programs."""
    return block.comma_separated(rows(outcomes))


WRITERS: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "table.txt": text,
    "table.md": markdown,
    "table.tex": latex,
    "table.csv": comma_separated,
}


def _blocks(outcomes: Sequence[Outcome]) -> list[Block]:
    return [_block(list(some)) for _, some in groupby(outcomes, lambda outcome: outcome.sweep.name)]


def _block(outcomes: Sequence[Outcome]) -> Block:
    sweep = outcomes[0].sweep
    keys = [axis.key for axis in sweep.axes]
    lines: list[list[str]] = []
    before: list[str] = []
    for outcome in outcomes:
        place = [outcome.point.coordinates[key] for key in keys]
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, place, strict=False)))
        shown = [""] * same + place[same:]
        status = "skipped" if outcome.skipped else "failed"
        figures = (
            [_figures(row) for row in rows([outcome])] if outcome.summary else [[status] + [""] * len(FIGURES[1:])]
        )
        for figure in figures:
            lines.append(shown + figure)
            shown = [""] * len(keys)
        before = place
    heading = ["data set" if key == "dataset" else key for key in keys]
    return Block(title_of(outcomes), heading + list(FIGURES), lines, len(keys) + _LEFT, _notes(outcomes))


def title_of(outcomes: Sequence[Outcome]) -> str:
    """The name of a sweep, with the model and the data set if there is only one."""
    models, datasets = (
        list(dict.fromkeys(getattr(outcome.point.experiment, key) for outcome in outcomes))
        for key in ("model", "dataset")
    )
    constant = [*(models if len(models) == 1 else []), *([f"on {datasets[0]}"] if len(datasets) == 1 else [])]
    return f"{outcomes[0].sweep.name}: {' '.join(constant)}" if constant else outcomes[0].sweep.name


def _figures(row: Row) -> list[str]:
    if row["status"] != "done":
        return [row["strategy"], row["status"], *[""] * len(FIGURES[2:])]
    return [
        row["strategy"],
        number(row["auc_user_mean"]),
        number(row["gauc_impressions"]),
        _against(row, "vs_no_fine_tuning"),
        _against(row, "vs_fine_tuning"),
        f"{row['users_covered']:,}",
        str(row["seeds"]),
    ]


def _against(row: Row, baseline: str) -> str:
    if row["strategy"] == baseline.removeprefix("vs_").replace("_", "-") or f"{baseline}.mean" not in row:
        return ""
    limits = ("mean", "low", "high", "corrected_low", "corrected_high")
    return difference({limit: row[f"{baseline}.{limit}"] for limit in limits}).rstrip()


def _notes(outcomes: Sequence[Outcome]) -> list[str]:
    notes = []
    for outcome in outcomes:
        if outcome.skipped or outcome.failed:
            became = "was skipped" if outcome.skipped else "failed"
            notes.append(f"{outcome.point.name} {became}: {outcome.skipped or outcome.failed}")
        entries = (outcome.summary or {"strategies": {}})["strategies"]
        diverged = [f"{name} ({entry['diverged']:,})" for name, entry in entries.items() if entry["diverged"]]
        if diverged:
            notes.append(f"{outcome.point.name}: models that diverged count as AUC 0.5: {', '.join(diverged)}")
    return notes
