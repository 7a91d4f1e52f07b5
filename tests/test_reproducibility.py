"""The per-user table is the same, bit for bit, however the work is spread."""

from pathlib import Path
from typing import Any

import pytest

from fedctr.benchmark import bench
from fedctr.summary import Result
from tests.application import command, experiment, users_of, write_toml

pytestmark = pytest.mark.usefixtures("small_cache")


def table(folder: Path) -> bytes:
    return (folder / "users.parquet").read_bytes()


def test_inline_with_any_number_of_partitions(reference: Result, tmp_path: Path) -> None:
    """Here are seven, there are two; that of a lone user in each is the test below."""
    result = bench(experiment(tmp_path / "run", partitions=7))
    assert table(result.folder) == table(reference.folder)
    assert result.summary == reference.summary


def test_an_empty_cache_and_another_process(reference: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data set and global model are made anew, and come out the same."""
    monkeypatch.setenv("FEDCTR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    toml = write_toml(tmp_path / "experiment.toml")
    assert command(tmp_path, "bench", toml.name).returncode == 0
    assert table(tmp_path / "out") == table(reference.folder)
    assert (tmp_path / "out" / "summary.json").read_bytes() == (reference.folder / "summary.json").read_bytes()


@pytest.mark.exhaustive
def test_one_user_for_each_partition(tmp_path: Path) -> None:
    """The literal picture, a device for each client, on both backends.

    Two partitions on Ray are in ``test_plugins.py``, eight in ``cli/test_bench.py``, where Ray runs for other reasons.
    """
    keys: dict[str, Any] = {
        "strategies": ("no-fine-tuning", "pairwise"),
        "learning_rates": (0.1,),
        "epochs": (2,),
        "seeds": 1,
    }
    expected = table(bench(experiment(tmp_path / "two", **keys)).folder)
    assert table(bench(experiment(tmp_path / "inline", partitions=50, **keys)).folder) == expected
    toml = write_toml(tmp_path / "experiment.toml", backend="ray", partitions=50, **keys)
    assert command(tmp_path, "bench", toml.name).returncode == 0
    assert table(tmp_path / "out") == expected


def test_other_strategies_beside_it_leave_a_strategy_as_it_is(reference: Result, tmp_path: Path) -> None:
    alone = bench(experiment(tmp_path / "run", strategies=("fine-tuning",)))
    rows = reference.users[reference.users["strategy"] == "fine-tuning"].reset_index(drop=True)
    assert rows.equals(users_of(alone.folder))


def test_more_seeds_leave_the_first_ones_as_they_are(tmp_path: Path) -> None:
    """As far as the protocol lets them: with a single trial nothing is chosen, so nothing can change."""
    keys: dict[str, Any] = {"learning_rates": (0.1,), "epochs": (1,), "strategies": ("no-fine-tuning", "fine-tuning")}
    one, two = (bench(experiment(tmp_path / str(seeds), seeds=seeds, **keys)) for seeds in (1, 2))
    assert one.users.equals(two.users[two.users["seed"] == 0].reset_index(drop=True))
    first, second = (two.users.query(f"seed == {seed} and strategy == 'fine-tuning'")["log_loss"] for seed in (0, 1))
    assert (first.to_numpy() != second.to_numpy()).mean() > 0.9
