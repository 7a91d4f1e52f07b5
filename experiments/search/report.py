"""Tables of the search: what each candidate gains in user AUC over the published model, window by window.

    python experiments/search/report.py RUN-FOLDER

The trial of each candidate is chosen twice: by the validation parts of both windows, and by the rehearsals; the gain
where it was chosen is the best of a grid and so flatters. Intervals are those of fedctr, at 95 %.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from fedctr.statistics import paired_difference

PUBLISHED = "no-fine-tuning"
TRIAL = ["learning_rate", "epochs"]


def gains(folder: Path, metric: str = "auc") -> pd.DataFrame:
    """Of every user, seed, window and trial, with ``spec`` and ``gain``; users without an AUC are left out."""
    rows = pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))])
    rows = rows[~rows.inner].drop_duplicates(["spec", *TRIAL, "window", "seed", "user"])
    keys = ["window", "seed", "user"]
    published = rows[rows.spec == PUBLISHED].set_index(keys)[metric].rename("published")
    rows = rows[rows.spec != PUBLISHED].join(published, on=keys)
    return rows.assign(gain=rows[metric] - rows.published).dropna(subset=["gain"])


def interval(rows: pd.DataFrame) -> str:
    """Mean gain and interval of one trial in one window."""
    if rows.empty:
        return ""
    by_seed = rows.pivot_table(index="user", columns="seed", values="gain")
    found = paired_difference(by_seed.dropna().to_numpy(np.float64))
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def table(rows: pd.DataFrame, chosen_by: str) -> pd.DataFrame:
    """One line per candidate, at the trial with the highest mean gain over the windows of a kind."""
    windows = sorted(rows.window.unique(), key=lambda window: (window.partition(":")[2], window))
    kind = [window for window in windows if window.endswith(chosen_by)]
    lines = []
    for spec, candidate in rows.groupby("spec"):
        means = candidate.groupby([*TRIAL, "window"]).gain.mean().unstack().reindex(columns=kind).dropna(how="all")
        if means.empty:
            continue
        # A trial that has not been tried in all of them cannot be chosen by their mean.
        rate, epochs = means.dropna().mean(axis=1).idxmax() if not means.dropna().empty else means.mean(axis=1).idxmax()
        trial = candidate[(candidate.learning_rate == rate) & (candidate.epochs == epochs)]
        line = {"strategy": spec, "trial": f"{rate:g} x {epochs}"}
        lines.append(line | {window: interval(trial[trial.window == window]) for window in windows})
    return pd.DataFrame(lines)


def main() -> None:
    """Print both tables as Markdown."""
    rows = gains(Path(sys.argv[1]))
    for chosen_by in ("validation", ":test", ":refit"):
        found = table(rows, chosen_by)
        print(f"\nTrials chosen by windows ending in {chosen_by}\n")
        print("| " + " | ".join(found.columns) + " |")
        print("|" + "---|" * len(found.columns))
        for line in found.itertuples(index=False):
            print("| " + " | ".join(str(value).replace("|", r"\|") for value in line) + " |")


if __name__ == "__main__":
    main()
