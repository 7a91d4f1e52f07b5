"""A step size for each user: what devices gain that choose their own trial, or none, by a dry run of their own.

    python experiments/search/search.py RUN-FOLDER no-fine-tuning SPEC... --inner
    python experiments/search/step_size.py RUN-FOLDER

A device fine-tunes on the first four fifths of its training part with every trial, scores the last fifth, and takes
the trial that did best there; the published model is one of those to choose from, and is kept where nothing beats it.
Beside it stand the one trial that does best in the mean of all dry runs, for everybody, and a device that draws one of
the trials, or none, at random. Gains are in user AUC over the published model; intervals are those of fedctr, at 95 %.
"""

import sys
from pathlib import Path

import pandas as pd
from report import PUBLISHED, TRIAL, interval

CELL = ["window", "seed", "user"]


def judged(folder: Path) -> pd.DataFrame:
    """Of every user, seed, window, strategy and trial: ``gain`` outside, ``own_auc`` and ``own_log_loss`` inside.

    The two dry-run columns are gains over the published model, higher is better; 0 where a dry run has no AUC. Users
    without an AUC outside are left out.
    """
    rows = pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))])
    kept = rows.set_index([*CELL, "spec", *TRIAL])[["auc", "log_loss", "inner"]]
    outside, dry = (kept[kept.inner == inner].drop(columns="inner") for inner in (False, True))
    tuned, own = (_over_published(part) for part in (outside, dry))
    found = pd.DataFrame({"gain": tuned.auc, "own_auc": own.auc.fillna(0), "own_log_loss": -own.log_loss.fillna(0)})
    return found.dropna(subset=["gain"]).reset_index()


def _over_published(rows: pd.DataFrame) -> pd.DataFrame:
    published = rows.xs(PUBLISHED, level="spec").groupby(level=CELL).first()
    return rows.drop(PUBLISHED, level="spec").sub(published)


def chosen(rows: pd.DataFrame, criterion: str) -> pd.Series:
    """The gain of every user, seed and window at the trial that is best by its own criterion; 0 if none is above 0."""
    best = rows.loc[rows.groupby(CELL)[criterion].idxmax()].set_index(CELL)
    return best.gain.where(best[criterion] > 0, 0.0)


def for_everybody(rows: pd.DataFrame, criterion: str) -> pd.Series:
    """The gain at the trial with the best mean of the criterion over everything; 0 if that is not above 0."""
    means = rows.groupby(TRIAL)[criterion].mean()
    at = rows.set_index(TRIAL).loc[means.idxmax()].set_index(CELL)
    return at.gain if means.max() > 0 else at.gain * 0


def at_random(rows: pd.DataFrame) -> pd.Series:
    """The expected gain of a device that draws a trial, or none, with equal chances."""
    trials = len(rows[TRIAL].drop_duplicates())
    return rows.groupby(CELL).gain.sum() / (trials + 1)


def main() -> None:
    """Print a line for each strategy and way to choose."""
    rows = judged(Path(sys.argv[1]))
    windows = sorted(rows.window.unique())
    print("| strategy | trial chosen by | " + " | ".join(windows) + " |")
    print("|---" * (len(windows) + 2) + "|")
    for spec, own in rows.groupby("spec"):
        ways = {
            "own dry run, log loss": chosen(own, "own_log_loss"),
            "own dry run, AUC": chosen(own, "own_auc"),
            "all dry runs, log loss": for_everybody(own, "own_log_loss"),
            "all dry runs, AUC": for_everybody(own, "own_auc"),
            "chance": at_random(own),
        }
        for way, gain in ways.items():
            cells = [interval(gain.xs(window, level="window").reset_index()) for window in windows]
            print(f"| {spec} | {way} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
