"""Finds in which world, and from which drift on, label correction raises the click-through rate online.

python experiments/abtest_worlds.py [FOLDER]

Runs the A/B tests of abtest.toml and abtest-replay.toml in worlds of more and more drift, with two step sizes and
several seeds, each a world of its own, as many at a time as there are cores; about an hour on 2 of them. FOLDER, by
default runs/abtest-worlds, keeps each test: the script goes on where it was stopped. Writes results/abtest-worlds/: the
lifts of every test, and the table and the picture of what they say together.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from fedctr import ABTest, abtest
from fedctr.errors import FedctrError
from fedctr.online.analysis import lift
from fedctr.online.exposure import exposure
from fedctr.picture import GREY, INK
from fedctr.verdict import RULE, verdict

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "abtest-worlds"
ARMS = ("no-fine-tuning", "fine-tuning", "label-correction")
DRIFTS = (0.0, 1.0, 2.0, 3.0)
LEARNING_RATES = (0.03, 0.1)
SEEDS = range(2)
# An experimenter counts clicks on impressions. The world also knows with which probability each click came, and how
# many the best ranking of the same candidates would have had. An arm changes neither candidates nor impressions, so a
# lift of the one is a lift of the other, but for the noise of the clicks and of who came.
METRICS = {"share of the oracle's clicks": ("expected_clicks", "oracle_clicks"), "CTR": ("clicks", "impressions")}
TRUE, COUNTED = METRICS
LEVEL = 0.95
PAIRS = (
    ("fine-tuning", "no-fine-tuning"),
    ("label-correction", "no-fine-tuning"),
    ("label-correction", "fine-tuning"),
)
COLOURS = dict(zip(PAIRS, ("#666666", "#0072b2", "#d55e00"), strict=True))  # as in the pictures of a benchmark


@dataclass(frozen=True)
class Cell:
    """One test.

    Attributes:
        drift: spread of the users' intercepts in the generated world; None for the world that replays a log.
        learning_rate: of both arms that fine-tune.
        seed: of the world and of all that is random in it.
    """

    drift: float | None
    learning_rate: float
    seed: int

    @property
    def world(self) -> str:
        """What tables call it."""
        return "replay of MovieLens-100K" if self.drift is None else f"generated, drift {self.drift:g}"

    def settings(self, folder: Path) -> ABTest:
        """The shipped test with three arms in this world."""
        file = HERE / ("abtest-replay.toml" if self.drift is None else "abtest.toml")
        values: dict[str, Any] = ABTest.read(file)
        if self.drift is not None:
            values["world"] |= {"drift": self.drift}
        tuned = {"learning_rate": self.learning_rate, "epochs": 3}
        values["arms"] = [{"strategy": arm} | (tuned if arm != ARMS[0] else {}) for arm in ARMS]
        name = f"{'replay' if self.drift is None else f'drift-{self.drift:g}'}-{self.learning_rate:g}-seed-{self.seed}"
        here = {"backend": "inline", "partitions": 1, "seed": self.seed, "out": str(folder / name)}
        return ABTest.of(values | here, str(file))


def rows(cell: Cell, folder: Path) -> list[dict[str, Any]]:
    """Run a test, or take it from its folder: for each metric a row for each pair of arms."""
    outcome = abtest(cell.settings(folder))
    found = []
    for metric, (clicks, impressions) in METRICS.items():
        daily = outcome.daily.assign(clicks=outcome.daily[clicks], impressions=outcome.daily[impressions])
        users = exposure(daily)
        for arm, baseline in PAIRS:
            sides = (users[users["arm"] == name] for name in (arm, baseline))
            figures = lift("ctr", *sides)
            limits = {name: figures[name] for name in ("mean", "low", "high", "users")}
            regret = outcome.summary["arms"][arm]["regret"]
            found.append(
                {"world": cell.world, "learning_rate": cell.learning_rate, "seed": cell.seed, "metric": metric}
                | {"arm": arm, "baseline": baseline, **limits, "regret": regret}
            )
    return found


def pooled(tests: pd.DataFrame) -> pd.DataFrame:
    """What the tests of a world say together, by the precision of each.

    The logarithms of the lifts are averaged with their inverse variances as weights.

    Returns:
        A row for each metric, world, step size and pair, with the limits that :func:`fedctr.verdict.verdict` reads,
        corrected for all rows of a metric.
    """
    normal = stats.norm.isf((1 - LEVEL) / 2)
    logs = np.log1p(tests[["mean", "low", "high"]])
    weighed = tests.assign(log=logs["mean"], weight=(2 * normal / (logs["high"] - logs["low"])) ** 2)
    groups = weighed.groupby(["metric", "world", "learning_rate", "arm", "baseline"], sort=False)
    found = groups.agg(users=("users", "sum"), seeds=("seed", "size"), regret=("regret", "mean"))
    mean = groups.apply(lambda some: float(np.average(some["log"], weights=some["weight"])), include_groups=False)
    error = groups["weight"].sum() ** -0.5
    comparisons = len(found) / found.index.get_level_values("metric").nunique()
    corrected = stats.norm.isf((1 - LEVEL) / 2 / comparisons)
    limits = {
        "mean": mean,
        "low": mean - normal * error,
        "high": mean + normal * error,
        "corrected_low": mean - corrected * error,
        "corrected_high": mean + corrected * error,
    }
    return found.assign(**{name: np.expm1(values) for name, values in limits.items()}).reset_index()


def render(found: pd.DataFrame) -> str:
    """The page of results."""
    keys = ["world", "learning_rate", "arm", "baseline"]
    counted = found[found["metric"] == COUNTED].set_index(keys)
    true = found[found["metric"] == TRUE]
    lines = [
        "# Label correction in an A/B test",
        "",
        "Written by `experiments/abtest_worlds.py`: the CTR of an arm relative to that of another over two weeks of "
        f"test. {found['seeds'].max()} seeds, each a world of its own, are averaged by their precision; 95 % intervals "
        "are over the users of these worlds, and how much other worlds would differ is not in them. An experimenter "
        "sees the lift of the *CTR*, for which clicks are counted. The world knows "
        "more: *true* is the lift of the share that an arm has of the oracle's clicks, both by the probabilities with "
        "which the world draws them. Arms share candidates and impressions, so it is the same lift without the noise "
        f"of the clicks and of who came; the verdict is on it. {RULE} The comparisons here are the {len(true)} rows.",
        "",
        "![True lifts by drift](lifts.png)",
        "",
        "| world | learning rate | arm | against | true | | CTR | users | regret of the arm |",
        "| --- | ---: | --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for row in true.to_dict("records"):
        clicks = counted.loc[tuple(row[key] for key in keys)]
        cells = (
            row["world"], f"{row['learning_rate']:g}", row["arm"], row["baseline"], _lift(row), verdict(row),
            _lift(clicks), f"{row['users']:,}", f"{row['regret']:.1%}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _lift(row: Mapping[str, Any]) -> str:
    return f"{row['mean']:+.2%} [{row['low']:+.2%}, {row['high']:+.2%}]"


def draw(found: pd.DataFrame, file: Path) -> None:
    """The true lifts against drift, a panel for each step size; at the right of it the world of a log."""
    found = found[found["metric"] == TRUE]
    rates = list(found["learning_rate"].unique())
    figure, grid = plt.subplots(1, len(rates), figsize=(9, 3.6), sharey=True, squeeze=False, layout="constrained")
    panels = grid[0]
    places = {world: place for place, world in enumerate(found["world"].unique())}
    for panel, rate in zip(panels, rates, strict=True):
        panel.axhline(0, color=GREY, linewidth=0.8)
        for number, (arm, baseline) in enumerate(PAIRS):
            some = found[(found["learning_rate"] == rate) & (found["arm"] == arm) & (found["baseline"] == baseline)]
            across = some["world"].map(places).to_numpy() + 0.15 * (number - 1)
            mean, low, high = (100 * some[name].to_numpy() for name in ("mean", "low", "high"))
            panel.errorbar(
                across, mean, [mean - low, high - mean], fmt="o", markersize=4, capsize=2,
                color=COLOURS[arm, baseline], label=f"{arm} against {baseline}",
            )  # fmt: skip
        panel.set_title(f"learning rate {rate:g}, 3 epochs", fontsize=10, color=INK)
        panel.set_xticks(list(places.values()), [_tick(world) for world in places])
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlabel("spread of the users' intercepts in log-odds")
    panels[0].set_ylabel("true lift of CTR in %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8)
    figure.savefig(file, dpi=150)


def _tick(world: str) -> str:
    return world.rpartition(" ")[2] if world.startswith("generated") else "replay"


def run_all(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """The rows of every test, as they come."""
    cells = [Cell(*each, seed) for seed, *each in product(SEEDS, (*DRIFTS, None), LEARNING_RATES)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        waiting = {pool.submit(rows, cell, folder): cell for cell in cells}
        for number, done in enumerate(as_completed(waiting), 1):
            cell = waiting[done]
            print(f"{number} of {len(cells)}: {cell.world}, {cell.learning_rate:g}, seed {cell.seed}", flush=True)
            yield done.result()


def main() -> None:
    """Run what is missing, and write the results."""
    parser = argparse.ArgumentParser(description="A/B tests of label correction in worlds of more and more drift.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/abtest-worlds"), help="keeps the tests")
    folder = parser.parse_args().folder
    try:
        tests = pd.DataFrame([row for some in run_all(folder) for row in some])
    except FedctrError as failure:
        sys.exit(f"abtest_worlds: {failure}")
    tests = tests.sort_values(["metric", "world", "learning_rate", "seed"], kind="stable", ignore_index=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    tests.to_csv(RESULTS / "lifts.csv", index=False)
    found = pooled(tests)
    (RESULTS / "README.md").write_text(render(found), encoding="utf-8")
    draw(found, RESULTS / "lifts.png")
    print(RESULTS / "README.md")


if __name__ == "__main__":
    main()
