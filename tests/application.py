"""One small experiment for the tests of the application, and how to run it as a user does."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fedctr.cloud import CloudTraining
from fedctr.composition import strategy_of
from fedctr.config import Experiment
from fedctr.data.cache import open_dataset
from fedctr.data.split import Part
from fedctr.progress import Silent
from fedctr.run import Run

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


def cell(part: Part, spec: str, seed: int) -> str:
    """Where in its run folder a strategy of the shelf keeps its rows."""
    run = Run(experiment(Path()), open_dataset(DATASET), {spec: strategy_of(spec)}, Path(), Silent())
    return str(run.cell(part, spec, seed))


def write_toml(file: Path, **keys: Any) -> Path:
    """The small experiment as a file, to be run in the file's folder; the run folder is ``out``."""
    file.write_text(experiment(Path("out"), **keys).to_toml())
    return file


def announced(stderr: str) -> list[str]:
    """What every machine prints; a slow one adds how far a long phase is, and one at its first run that it compiles."""
    slow = re.compile(r"compiling the engine|.*: [\d,]+ of [\d,]+")
    return [line for line in stderr.splitlines() if not slow.match(line)]


def call_main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Run ``fedctr ARGUMENTS`` in this process; exit code, stdout and stderr."""
    from fedctr.cli import main

    monkeypatch.setattr(sys, "argv", ["fedctr", *arguments])
    code: object = 0
    try:
        main()
    except SystemExit as leave:
        code = leave.code or 0
    said = capsys.readouterr()
    assert isinstance(code, int)
    return code, said.out, said.err


def command(
    folder: Path, *arguments: str, path: Sequence[Path] = (), timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run ``fedctr ARGUMENTS`` in a folder, with more folders at the front of the import path."""
    return subprocess.run(
        [FEDCTR, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), *python_path()]), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def python_path() -> list[str]:
    """The folders by which this process finds the code that it tests, if it is not installed."""
    return [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]


def users_of(folder: Path) -> pd.DataFrame:
    """``users.parquet`` of a run."""
    return pd.read_parquet(folder / "users.parquet")


def files(folder: Path) -> set[str]:
    """All files below a folder, but for what Python compiles and the empty ones by which a process keeps others out."""
    return {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".pyc" and file.name != ".lock"
    }


def install_wheel(target: Path, module: str, source: str, announced: Mapping[str, str]) -> Path:
    """Have pip install a distribution with one module that announces a class in some groups; returns the folder."""
    name, facts = f"{module}-1.2.3", f"{module}-1.2.3.dist-info"
    content = {
        f"{module}.py": source,
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2.3\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{facts}/entry_points.txt": "".join(
            f"[{group}]\nwhatever = {module}:{cls}\n" for group, cls in announced.items()
        ),
    }
    content[f"{facts}/RECORD"] = "".join(f"{file},,\n" for file in [*content, f"{facts}/RECORD"])
    wheel = target.with_name(f"{name}-py3-none-any.whl")
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in content.items():
            archive.writestr(file, text)
    options = "--quiet --no-deps --no-index --disable-pip-version-check --no-input"
    pip = [sys.executable, "-m", "pip", "install", *options.split(), "--target", str(target), str(wheel)]
    subprocess.run(pip, check=True, timeout=100)
    return target
