"""The report of a grid: many experiments side by side."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from fedctr.cost import Cost
from fedctr.errors import FedctrError
from fedctr.folder import read_json
from fedctr.grid.axis import UNNAMED
from fedctr.kept.grid import GridRun
from fedctr.report import making
from fedctr.report.page import Block, Cell, Picture, Report, Section, Table, Text, number, words
from fedctr.result_table import difference
from fedctr.verdict import AGAINST, BASELINES, REFERENCE, RULE, VERDICTS, Verdict, verdict

Row = dict[str, Any]
_LIMITS = ("mean", "low", "high", "corrected_low", "corrected_high")
_AXIS = "axis."


def of_grid(run: GridRun) -> Report:
    """What the experiments of a grid found.

    Raises:
        FedctrError: when its table is damaged.
    """
    folder, rows = run.folder, run.rows
    try:
        sweeps = {name: list(some) for name, some in groupby(rows, lambda row: row["sweep"])}
        experiments = {row["folder"]: row["status"] for row in rows}
        sections = [Section("Does it help?", tuple(_answer(rows, experiments)))]
        sections += [Section(_title(name), tuple(_sweep(name, some, folder))) for name, some in sweeps.items()]
    except (ValueError, KeyError) as error:
        raise FedctrError(f"{folder}/table.csv: damaged ({' '.join(str(error).split())})") from None
    costs = [cost for cost in map(Cost.of, (found.parent for found in folder.rglob("cost.json"))) if cost]
    cost = Cost(tuple(sitting for found in costs for sitting in found.sittings)) if costs else None
    summary = next((read_json(found) for found in sorted(folder.rglob("summary.json"))), None) or {}
    sections.append(making.of_many(folder, cost, summary.get("versions", {})))
    return Report(
        title=f"{folder.resolve().name}: {len(experiments)} experiments",
        facts=f"{run.model} on {run.dataset}",
        origin=str(folder),
        answer=_answered(rows, experiments),
        sections=tuple(sections),
    )


def _answered(rows: Sequence[Row], experiments: dict[str, str]) -> str:
    """The sentence by which the grid is quoted."""
    corrections = [row["strategy"] for row in rows if row["strategy"].startswith("label-correction")]
    subject = next(iter(corrections), None)
    told = []
    for key in BASELINES:
        found = Counter(judged for row in rows if row["strategy"] == subject and (judged := _judged(row, key)))
        if found:
            counts = ", ".join(f"{each} in {found[each]}" for each in VERDICTS if found[each])
            told.append(f"against {AGAINST[key]} {counts} of {found.total()} experiments")
    left_out = Counter(status for status in experiments.values() if status != "done")
    others = "".join(f" {count} {'was' if count == 1 else 'were'} {status}." for status, count in left_out.items())
    return (f"{subject}, change in user AUC: {'; '.join(told)}." if told else "Nothing was compared.") + others


def _answer(rows: Sequence[Row], experiments: dict[str, str]) -> Iterator[Block]:
    yield Text(_answered(rows, experiments), lead=True)
    counted = {
        (strategy, key): Counter(
            judged for row in rows if row["strategy"] == strategy and (judged := _judged(row, key))
        )
        for strategy in dict.fromkeys(row["strategy"] for row in rows)
        for key in BASELINES
    }
    yield Table(
        "In how many experiments a difference in user AUC is what",
        ("strategy", "against", *VERDICTS),
        tuple(
            (*words(strategy, AGAINST[key]), *(number(found[each], "d") for each in VERDICTS))
            for (strategy, key), found in counted.items()
            if found
        ),
        note=RULE.replace("*", ""),
    )


def _sweep(name: str, rows: Sequence[Row], folder: Path) -> Iterator[Block]:
    """Its pictures, and all of its numbers."""
    table = _table(name, rows)
    titles = {name: "Change in user AUC along the axes", f"{name}-by-drift": "Change in user AUC, by drift"}
    for stem, title in titles.items():
        file = folder / f"{stem}.svg"
        if file.is_file():
            svg = file.read_text(encoding="utf-8")
            yield Picture(stem, title, "95 % intervals, not corrected; the numbers stand in the table below.", svg)
    yield table
    reasons = {row["folder"]: row["reason"] for row in rows if row["reason"]}
    if reasons:
        yield Table("Not run to the end", ("experiment", "why"), tuple(words(*pair) for pair in reasons.items()))


def _table(name: str, rows: Sequence[Row]) -> Table:
    axes = [key for key in rows[0] if key.startswith(_AXIS) and any(row[key] for row in rows)]
    headings = [_heading(axis.removeprefix(_AXIS)) for axis in axes]
    return Table(
        f"{_title(name)}: every experiment and strategy",
        ("strategy", *headings, "user AUC", *_headings(), "GAUC", "users", "seeds"),
        tuple(
            (
                *words(row["strategy"]),
                *(_value(row[axis]) for axis in axes),
                number(_float(row, "auc_user_mean")),
                *(_against(row, key) for key in BASELINES),
                number(_float(row, "gauc_impressions")),
                number(_float(row, "users_covered"), ",.0f"),
                number(_float(row, "seeds"), ".0f"),
            )
            for row in rows
            if row["status"] == "done"
        ),
        note="Differences are in user AUC, with 95 % intervals; * excludes 0 after correction for all comparisons of "
        "its own experiment.",
    )


def _title(sweep: str) -> str:
    return "Along the axes" if sweep == UNNAMED else sweep


def _heading(axis: str) -> str:
    return "data set" if axis == "dataset" else axis


def _headings() -> list[str]:
    return [f"vs {baseline}" for baseline in BASELINES.values()]


def _value(text: str) -> Cell:
    """A value of an axis: a number where it is one."""
    try:
        return Cell(text, float(text))
    except ValueError:
        return Cell(text, text)


def _float(row: Row, key: str) -> float | None:
    return float(row[key]) if row.get(key) else None


def _interval(row: Row, key: str) -> dict[str, float | None]:
    return {limit: _float(row, f"{key}.{limit}") for limit in _LIMITS}


def _against(row: Row, key: str) -> Cell:
    interval = _interval(row, key)
    if row["strategy"] == BASELINES[key] or interval["mean"] is None:
        return Cell("", None)
    return Cell(difference(interval).rstrip(), interval["mean"])


def _judged(row: Row, key: str) -> Verdict | None:
    """What a difference shows; no fine-tuning against plain is the mirror image of plain against none."""
    return None if row["strategy"] in (REFERENCE, BASELINES[key]) else verdict(_interval(row, key))
