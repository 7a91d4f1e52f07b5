"""Writes what runs and grids have found as Markdown: python experiments/results.py RUN... > experiments/RESULTS.md.

RUN is a run folder or the folder of a grid. Every sentence about a difference is made by rule from its interval.
`experiments/notes.md`, if there is one, is put in front: it is written by hand, for what numbers cannot say.
"""

import csv
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fedctr.data.loader import loaders
from fedctr.errors import FedctrError
from fedctr.registry import parse

HERE = Path(__file__).parent
BASELINES = {"vs_no_fine_tuning": "no fine-tuning", "vs_fine_tuning": "plain fine-tuning"}
RULE = (
    "A difference is called *shown* if its interval excludes 0 after correction for all comparisons of its own "
    "experiment, *likely* if only the uncorrected 95 % interval does, and *not shown* if that includes 0. With many "
    "experiments side by side about one in twenty is called likely by chance."
)


@dataclass(frozen=True)
class Study:
    """One run or grid.

    Attributes:
        folder: where it is.
        rows: one for each experiment and strategy, with the columns of a grid's ``table.csv`` that are used here.
        table: Markdown.
        pictures: PNG files.
    """

    folder: Path
    rows: list[dict[str, Any]]
    table: str
    pictures: list[Path]


def read(folder: Path) -> Study:
    """Read a run folder, or the folder of a grid.

    Raises:
        FedctrError: when it is neither.
    """
    try:
        if (folder / "table.csv").is_file():
            with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
                rows: list[dict[str, Any]] = list(csv.DictReader(file))
            return Study(folder, rows, (folder / "table.md").read_text(encoding="utf-8"), sorted(folder.glob("*.png")))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FedctrError(f"{folder}: holds neither a finished run nor a finished grid ({error})") from None
    rows = list(_rows(summary, config, folder))
    return Study(folder, rows, _table(summary), [folder / "comparison.png"])


def render(studies: Sequence[Study], notes: str, where: Path) -> str:
    """All studies as one page.

    Args:
        studies: in the order of the page.
        notes: written by hand; may be empty.
        where: the folder that the page will be in, for the addresses of pictures.
    """
    parts = ["# Results", "Written by `experiments/results.py` from the folders that it names.", notes.strip()]
    parts += ["## What was run", _what_was_run(studies), "## What the intervals say", RULE]
    for study in studies:
        parts += [f"### {study.folder.name}", *_verdicts(study)]
    parts.append("## Tables and pictures")
    for study in studies:
        parts += [f"### `{study.folder}`", _origin(study), study.table.strip()]
        parts += [f"![{picture.stem}]({os.path.relpath(picture, where)})" for picture in study.pictures]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(row: dict[str, Any], baseline: str) -> str | None:
    """One sentence on one difference; None where nothing was compared."""
    limits = [row.get(f"{baseline}.{limit}") for limit in ("mean", "low", "high", "corrected_low", "corrected_high")]
    if row["status"] != "done" or any(limit in (None, "") for limit in limits):
        return None
    mean, low, high, corrected_low, corrected_high = (float(limit) for limit in limits if limit is not None)
    if low == high == 0:
        return None  # a strategy against itself
    word = "better" if mean > 0 else "worse"
    if corrected_low > 0 or corrected_high < 0:
        said = f"excludes 0 after correction: {word}, shown"
    elif low > 0 or high < 0:
        said = f"excludes 0, but not after correction: {word}, likely"
    else:
        said = "includes 0: not shown"
    return (
        f"{row['strategy']} against {BASELINES[baseline]}: {mean:+.4f} [{low:+.4f}, {high:+.4f}] in user AUC over "
        f"{int(row[f'{baseline}.users']):,} users; the interval {said}"
    )


def _verdicts(study: Study) -> Iterator[str]:
    """One list for each experiment."""
    for _, some in groupby(study.rows, lambda row: row["folder"]):
        rows = list(some)
        if rows[0]["status"] != "done" and not any(verdict(row, key) for row in rows for key in BASELINES):
            continue
        told = [said for key in BASELINES for row in rows if (said := verdict(row, key))]
        # No fine-tuning against plain is the mirror image of plain against none.
        lines = [f"- {said}." for said in told if not said.startswith("no-fine-tuning ")]
        yield f"**{_name(rows[0])}**\n\n" + ("\n".join(lines) or "- Nothing was compared.")


def _what_was_run(studies: Sequence[Study]) -> str:
    rows = [row for study in studies for row in study.rows]
    kinds: dict[str, list[str]] = {"real": [], "generated": []}
    for row in rows:
        if row["status"] == "done":
            kinds["real" if _is_real(row["dataset"]) else "generated"].append(row["dataset"])
    not_run = dict.fromkeys(f"{_name(row)}: {row['reason']}" for row in rows if row["status"] != "done")
    lines = [
        f"- On real data: {_listed(kinds['real'])}.",
        f"- On generated data, which show what the method does in a world of known make, not that it helps anyone: "
        f"{_listed(kinds['generated'])}.",
        *(f"- Not run: {reason}." for reason in not_run),
    ]
    return "\n".join(lines)


def _origin(study: Study) -> str:
    real = {_is_real(row["dataset"]) for row in study.rows if row["status"] == "done"}
    return {(True,): "Real data.", (False,): "Generated data.", (False, True): "Real and generated data."}.get(
        tuple(sorted(real)), "Nothing was run."
    )


def _is_real(dataset: str) -> bool:
    """A stranger's data set, which may not be installed here, counts as real: it is read from files."""
    shelf = loaders.classes()
    name = parse(dataset).name
    return name not in shelf or shelf[name].needs_files


def _name(row: dict[str, Any]) -> str:
    axes = {key.removeprefix("axis."): value for key, value in row.items() if key.startswith("axis.") and value}
    others = [f", {key} {value}" for key, value in axes.items() if key not in ("dataset", "model")]
    return f"{row['model']} on {row['dataset']}" + "".join(others)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names)) or "nothing"


def _rows(summary: dict[str, Any], config: dict[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a single run, as a grid's ``table.csv`` has them."""
    for strategy in config["strategies"]:
        entry = summary["strategies"].get(strategy)
        row = {"folder": str(folder), "dataset": summary["dataset"], "model": summary["model"], "strategy": strategy}
        if entry is None:
            yield {**row, "status": "failed", "reason": f"{strategy} failed, see log.txt"}
            continue
        numbers = {f"{key}.{name}": value for key in BASELINES for name, value in (entry[key] or {}).items()}
        yield {**row, "status": "done", "reason": "", **numbers}


def _table(summary: dict[str, Any]) -> str:
    from fedctr.result_table import difference, number

    lines = [
        f"{summary['model']} on {summary['dataset']}, {summary['users']:,} users, {summary['seeds']} seeds",
        "",
        "| strategy | user AUC | GAUC | vs no-fine-tuning | vs fine-tuning | users |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, entry in summary["strategies"].items():
        against = [
            "" if name == key.removeprefix("vs_").replace("_", "-") else difference(entry[key]).replace("*", "\\*")
            for key in BASELINES
        ]
        figures = [number(entry["auc_user_mean"]), number(entry["gauc_impressions"]), *against]
        lines.append(f"| {' | '.join([name, *figures, str(entry['users_covered'])])} |")
    return "\n".join(lines)


def main() -> None:
    """Print the page; a folder that holds nothing is one line on standard error and exit code 2."""
    if len(sys.argv) < 2:
        sys.exit("usage: python experiments/results.py RUN... > experiments/RESULTS.md")
    notes = HERE / "notes.md"
    try:
        studies = [read(Path(argument)) for argument in sys.argv[1:]]
    except FedctrError as error:
        print("results:", error, file=sys.stderr)
        sys.exit(2)
    print(render(studies, notes.read_text(encoding="utf-8") if notes.is_file() else "", HERE), end="")


if __name__ == "__main__":
    main()
