"""One small experiment for the tests of the application, and how to run it as a user does."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fedctr.cloud import CloudTraining
from fedctr.config import Experiment

FEDCTR = Path(sys.executable).with_name("fedctr")
DATASET = "synthetic[users=50]"
MODEL = "din[embedding=4,hidden=[8],attention=4,history=5]"
CHOICES: dict[str, Any] = {
    "dataset": DATASET,
    "model": MODEL,
    "strategies": ("no-fine-tuning", "fine-tuning", "label-correction[variant=shift]"),
    "seeds": 2,
    "partitions": 2,
    "backend": "inline",
    "learning_rates": (0.03, 0.3),
    "epochs": (1, 2),
    "cloud": CloudTraining(epochs=2),
}


def experiment(out: Path, **keys: Any) -> Experiment:
    """The small experiment: 50 users, 3 strategies, 2 seeds; some keys may differ."""
    return Experiment(**{**CHOICES, "out": out, **keys})


def write_toml(file: Path, **keys: Any) -> Path:
    """The small experiment as a file, to be run in the file's folder; the run folder is ``out``."""
    file.write_text(experiment(Path("out"), **keys).to_toml())
    return file


def command(
    folder: Path, *arguments: str, path: Sequence[Path] = (), timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run ``fedctr ARGUMENTS`` in a folder, with more folders at the front of the import path."""
    return subprocess.run(
        [FEDCTR, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def users_of(folder: Path) -> pd.DataFrame:
    """``users.parquet`` of a run."""
    return pd.read_parquet(folder / "users.parquet")


def files(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
