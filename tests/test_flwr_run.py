import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from fedctr import Experiment, bench
from fedctr.report.report import write_report

ROOT = Path(__file__).parents[1]
DATASET, MODEL, STRATEGIES = "synthetic[users=60,items=80,samples_per_user=25]", "lr", "no-fine-tuning,fine-tuning"


@pytest.fixture
def flower_home(tmp_path: Path) -> Iterator[Path]:
    """Flower's own folder for one test; the SuperLink that ``flwr run`` leaves behind is ended."""
    home = tmp_path / "flower"
    home.mkdir()
    yield home
    subprocess.run(["pkill", "-f", str(home)], check=False)


def test_flowers_own_launcher_gives_the_same_rows(flower_home: Path, small_cache: None, tmp_path: Path) -> None:
    out = tmp_path / "flwr"
    scripts = Path(sys.executable).parent
    keys = {"dataset": DATASET, "model": MODEL, "strategies": STRATEGIES, "out": str(out)}
    done = subprocess.run(
        [
            *(str(scripts / "flwr"), "run", str(ROOT), "--stream"),
            *("--federation-config", "num-supernodes=2"),
            *("--run-config", " ".join(f'{key}="{value}"' for key, value in keys.items()) + " seeds=1"),
        ],
        env={
            **os.environ,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "FLWR_HOME": str(flower_home),
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_TELEMETRY_ENABLED": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ADDRESS": "local",  # not that of a cluster which somebody has started on this machine
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Run folder: {out}" in done.stdout, done.stdout + done.stderr
    assert f"To read it in a browser: fedctr report {out}\n" in done.stdout
    assert write_report(out).is_file()
    alone = bench(
        Experiment(
            dataset=DATASET,
            model=MODEL,
            strategies=tuple(STRATEGIES.split(",")),
            seeds=1,
            backend="inline",
            out=tmp_path / "inline",
        )
    )
    pd.testing.assert_frame_equal(pd.read_parquet(out / "users.parquet"), alone.users, check_exact=True)
