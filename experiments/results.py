"""Writes what runs and grids have found to experiments/RESULTS.md.

python experiments/results.py RUN... [--generated RUN...]

RUN is a run folder or the folder of a grid; those after --generated were made with official files of invented content.
Pictures are copied to experiments/results/. Every sentence about a difference is made by rule from
its interval. `experiments/notes.md`, if there is one, is put in front: it is written by hand, for what numbers cannot
say.
"""

import argparse
import csv
import json
import shutil
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fedctr.data.loader import loaders
from fedctr.errors import FedctrError
from fedctr.registry import parse
from fedctr.result_table import difference, number
from fedctr.verdict import AGAINST, BASELINES, REFERENCE, RULE, VERDICTS, Verdict, verdict

HERE = Path(__file__).parent


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


def read(folder: Path, generated: bool = False) -> Study:
    """Read a run folder, or the folder of a grid.

    Args:
        folder: where it is.
        generated: whether the files of its data sets have invented content.

    Raises:
        FedctrError: when it is neither.
    """
    try:
        if (folder / "table.csv").is_file():
            with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
                rows: list[dict[str, Any]] = list(csv.DictReader(file))
            rows = [row | {"real": not generated and _is_read(row["dataset"])} for row in rows]
            return Study(folder, rows, (folder / "table.md").read_text(encoding="utf-8"), sorted(folder.glob("*.png")))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FedctrError(f"{folder}: holds neither a finished run nor a finished grid ({error})") from None
    real = not generated and _is_read(summary["dataset"])
    rows = [row | {"real": real} for row in _rows(summary, config, folder)]
    return Study(folder, rows, _table(summary), [folder / "comparison.png"])


def render(studies: Sequence[Study], notes: str = "") -> str:
    """All studies as one page, in their order, after what was written by hand."""
    parts = ["# Results", "Written by `experiments/results.py` from the folders that it names.", notes.strip()]
    parts += ["## What was run", _what_was_run(studies), "## What the intervals say", RULE]
    for study in studies:
        parts += [f"### {study.folder.name}", *_verdicts(study)]
    parts.append("## Tables and pictures")
    for study in studies:
        parts += [f"### `{study.folder.name}`", _origin(study.rows), study.table.strip()]
        parts += [f"![{picture.stem}](results/{study.folder.name}/{picture.name})" for picture in study.pictures]
    return "\n\n".join(part for part in parts if part) + "\n"


def judge(row: dict[str, Any], baseline: str) -> Verdict | None:
    """What one difference shows; None where nothing was compared."""
    if row["status"] != "done" or row["strategy"] in (REFERENCE, BASELINES[baseline]):
        return None  # no fine-tuning against plain is the mirror image of plain against none
    found = {limit: row.get(f"{baseline}.{limit}") for limit in ("low", "high", "corrected_low", "corrected_high")}
    return verdict({limit: None if value in (None, "") else float(value) for limit, value in found.items()})


def sentence(row: dict[str, Any], baseline: str) -> str:
    """What one difference is, and what it shows."""
    mean, low, high = (float(row[f"{baseline}.{limit}"]) for limit in ("mean", "low", "high"))
    users, seeds = int(row[f"{baseline}.users"]), row[f"{baseline}.seeds"]
    shown = judge(row, baseline)
    reason = "includes 0" if shown == "not shown" else "excludes 0"
    return (
        f"{row['strategy']} against {AGAINST[baseline]}, {_name(row)}: {mean:+.4f} [{low:+.4f}, {high:+.4f}] in user "
        f"AUC over {users:,} users and {seeds} seeds: the interval {reason}: {shown}"
    )


def _verdicts(study: Study) -> Iterator[str]:
    """For each sweep, how often a strategy was better or worse, and every difference that is more than noise."""
    for sweep, some in groupby(study.rows, lambda row: row.get("sweep", "")):
        rows = list(some)
        yield f"**{sweep or study.folder.name}.** {_origin(rows)}"
        yield from _verdicts_of(rows)


def _verdicts_of(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    judged = [(row, key, found) for key in BASELINES for row in rows if (found := judge(row, key))]
    if not judged:
        yield "Nothing was compared."
        return
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row, key, found in judged:
        counts.setdefault((row["strategy"], AGAINST[key]), Counter())[found] += 1
    lines = [f"| strategy | against | {' | '.join(VERDICTS)} |", f"| --- | --- |{' ---: |' * len(VERDICTS)}"]
    for (strategy, baseline), counted in counts.items():
        lines.append(f"| {strategy} | {baseline} | {' | '.join(str(counted[each]) for each in VERDICTS)} |")
    yield "Number of experiments:\n\n" + "\n".join(lines)
    # The question of the paper is answered for every experiment, whatever the answer.
    told = [
        f"- {sentence(row, key)}."
        for row, key, found in judged
        if found != "not shown" or (row["strategy"], key) == ("label-correction", "vs_fine_tuning")
    ]
    yield "\n".join(told) or "No interval excludes 0."


def _what_was_run(studies: Sequence[Study]) -> str:
    rows = [row for study in studies for row in study.rows]
    kinds: dict[str, list[str]] = {"real": [], "generated": []}
    for row in rows:
        if row["status"] == "done":
            kinds["real" if row["real"] else "generated"].append(row["dataset"])
    not_run = dict.fromkeys(f"{_name(row)}: {row['reason']}" for row in rows if row["status"] != "done")
    lines = [
        f"- On real data: {_listed(kinds['real'])}.",
        f"- On generated data, which show what the method does in a world of known make, not that it helps anyone: "
        f"{_listed(kinds['generated'])}.",
        *(f"- Not run: {reason}." for reason in not_run),
    ]
    return "\n".join(lines)


def _origin(rows: Sequence[dict[str, Any]]) -> str:
    real = {bool(row["real"]) for row in rows if row["status"] == "done"}
    return {(True,): "Real data.", (False,): "Generated data.", (False, True): "Real and generated data."}.get(
        tuple(sorted(real)), "Nothing was run."
    )


def _is_read(dataset: str) -> bool:
    """Whether a data set is read from files; a stranger's, which may not be installed here, counts as such."""
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
    lines = [
        f"{summary['model']} on {summary['dataset']}, {summary['users']:,} users, {summary['seeds']} seeds",
        "",
        "| strategy | user AUC | GAUC | vs no-fine-tuning | vs fine-tuning | users |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, entry in summary["strategies"].items():
        against = [
            ""
            if name == key.removeprefix("vs_").replace("_", "-")
            else difference(entry[key]).rstrip().replace("*", "\\*")
            for key in BASELINES
        ]
        figures = [number(entry["auc_user_mean"]), number(entry["gauc_impressions"]), *against]
        lines.append(f"| {' | '.join([name, *figures, str(entry['users_covered'])])} |")
    return "\n".join(lines)


def write(folders: Sequence[Path], generated: Sequence[Path] = (), into: Path = HERE) -> Path:
    """Write ``RESULTS.md`` and copy the pictures below ``results/``.

    Raises:
        FedctrError: when a folder holds nothing, or two have the same name.
    """
    studies = [read(folder.resolve()) for folder in folders]
    studies += [read(folder.resolve(), generated=True) for folder in generated]
    for name, count in Counter(study.folder.name for study in studies).items():
        if count > 1:
            raise FedctrError(f"{name}: {count} folders have this name; rename one, their pictures would be mixed up")
    notes = into / "notes.md"
    page = into / "RESULTS.md"
    page.write_text(render(studies, notes.read_text(encoding="utf-8") if notes.is_file() else ""), encoding="utf-8")
    for study in studies:
        (into / "results" / study.folder.name).mkdir(parents=True, exist_ok=True)
        for picture in study.pictures:
            shutil.copyfile(picture, into / "results" / study.folder.name / picture.name)
    return page


def main() -> None:
    """Read the arguments and write the page."""
    parser = argparse.ArgumentParser(description="Write what runs and grids have found to experiments/RESULTS.md.")
    parser.add_argument("run", nargs="+", type=Path, help="folder of a run or of a grid")
    parser.add_argument("--generated", nargs="+", type=Path, default=[], help="those on files of invented content")
    given = parser.parse_args()
    try:
        print(write(given.run, given.generated))
    except FedctrError as failure:
        sys.exit(f"results: {failure}")


if __name__ == "__main__":
    main()
