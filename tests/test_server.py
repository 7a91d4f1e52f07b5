import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fedctr.benchmark import bench
from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, split
from fedctr.errors import FedctrError
from fedctr.summary import Result
from tests.application import DATASET, experiment, users_of
from tests.mischief import write_module

pytestmark = pytest.mark.usefixtures("small_cache")

PARTITIONS = 8


@pytest.fixture
def victims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A stranger's module that fails at one user, whose id is returned."""
    dataset = open_dataset(DATASET)
    starts, stops = split(dataset, Fractions()).bounds("train")
    counts = pd.Series(stops - starts).value_counts()
    samples = int(counts[counts == 1].index[0])
    write_module(tmp_path, samples)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield [str(dataset.user_ids[user]) for user in range(50) if (stops - starts)[user] == samples]
    sys.modules.pop("my_module", None)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Raises", "RuntimeError: first line second line"),
        ("Exits", "SystemExit: 0"),
        ("NaN", "ValueError: targets returned NaN or an infinite value"),
        ("Shape", "ValueError: targets returned shape"),
    ],
)
def test_a_failing_client_is_named_and_all_other_results_are_kept(
    name: str, error: str, victims: list[str], tmp_path: Path, reference: Result
) -> None:
    (victim,) = victims
    spec = f"my_module:{name}"
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning", spec, "fine-tuning"), "partitions": PARTITIONS}
    result = bench(experiment(tmp_path / "run", **keys))
    assert list(result.summary["strategies"]) == ["no-fine-tuning", "fine-tuning"]
    row = [str(user) for user in open_dataset(DATASET).user_ids].index(victim)
    client = next(index for index in range(PARTITIONS) if row < 50 * (index + 1) // PARTITIONS)
    said = result.complaint
    assert said.startswith(f"strategy {spec}: client {client}, user {victim}: {error}")
    assert said.endswith(f"(1 more in log.txt); what the others computed is kept in {tmp_path / 'run'}")

    users = users_of(tmp_path / "run")
    others = users[users["strategy"] != spec].reset_index(drop=True)
    expected = reference.users[reference.users["strategy"].isin(["no-fine-tuning", "fine-tuning"])]
    pd.testing.assert_frame_equal(others, expected.reset_index(drop=True), check_exact=True)
    own = users[users["strategy"] == spec]
    lost = {str(open_dataset(DATASET).user_ids[user]) for user in range(50 * client // 8, 50 * (client + 1) // 8)}
    assert set(own["user"]) == {str(user) for user in open_dataset(DATASET).user_ids} - lost
    assert set(own["split"]) == {"validation"}  # nothing was chosen, so test was not touched

    log = (tmp_path / "run" / "log.txt").read_text().splitlines()
    line = said.partition(" (1 more")[0]
    assert [logged[20:] for logged in log if spec in logged] == [f"validation, seed {seed}: {line}" for seed in (0, 1)]


def test_the_summary_of_a_run_with_failures_has_the_others(victims: list[str], tmp_path: Path) -> None:
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning", "my_module:NaN", "my_module:Mine"), "seeds": 1}
    assert bench(experiment(tmp_path / "run", **keys)).complaint
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert list(summary["strategies"]) == ["no-fine-tuning", "my_module:Mine"]
    (failure,) = summary["failures"]
    assert (failure["strategy"], failure["user"]) == ("my_module:NaN", victims[0])


def test_a_strategy_that_is_mended_is_computed_again(victims: list[str], tmp_path: Path) -> None:
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning", "my_module:Raises"), "seeds": 1}
    assert f"user {victims[0]}" in bench(experiment(tmp_path / "run", **keys)).complaint
    write_module(tmp_path, samples=-1)
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    sys.modules.pop("my_module")
    result = bench(experiment(tmp_path / "run", **keys))
    assert list(result.summary["strategies"]) == ["no-fine-tuning", "my_module:Raises"]
    assert result.summary["failures"] == []
    assert result.users.query("strategy == 'my_module:Raises' and split == 'test'")["user"].nunique() == 50


def test_where_every_client_fails_nothing_is_concluded(victims: list[str], tmp_path: Path) -> None:
    assert victims
    with pytest.raises(FedctrError, match=r"strategy my_module:Raises: client 0, user .*; no client was left"):
        bench(experiment(tmp_path / "run", strategies=("my_module:Raises",), partitions=1, seeds=1))
    assert not (tmp_path / "run" / "summary.json").exists()
