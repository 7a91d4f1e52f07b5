import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fedctr.errors import FedctrError
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.summary import Result

COLUMNS = ("auc", "local_samples")


def test_test_rows_are_those_of_a_pivot(reference: Result) -> None:
    rows = BenchmarkRun(reference.folder).test_rows(COLUMNS)
    test = reference.users[reference.users["split"] == "test"]
    assert list(rows.columns) == list(reference.summary["strategies"])
    for spec, found in rows.columns.items():
        for name in COLUMNS:
            wide = test[test["strategy"] == spec].pivot(index="user", columns="seed", values=name)
            expected = wide.loc[rows.users.to_pylist()].to_numpy(dtype=np.float64)
            np.testing.assert_array_equal(found[name], expected)


def test_its_configuration_is_that_of_the_run(reference: Result) -> None:
    run = BenchmarkRun(reference.folder)
    assert (run.config["seeds"], run.summary) == (2, reference.summary)


def test_users_in_another_order_are_not_mistaken_for_one_another(reference: Result, tmp_path: Path) -> None:
    copy = shutil.copytree(reference.folder, tmp_path / "run")
    users = reference.users
    of_one = (users["strategy"] == "fine-tuning") & (users["seed"] == 1)
    pd.concat([users[~of_one], users[of_one][::-1]]).to_parquet(copy / "users.parquet", index=False)
    with pytest.raises(FedctrError, match="users of fine-tuning, seed 1, are not those of the others"):
        BenchmarkRun(copy).test_rows(COLUMNS)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("summary.json", None, "the benchmark is not finished; start it again with --out .*run to go on"),
        ("summary.json", "{", "summary.json: damaged; start the run again with --out .*run"),
        ("users.parquet", "PAR1", "users.parquet: cannot be read"),
    ],
)
def test_what_is_missing_or_damaged_is_named(
    file: str, text: str | None, message: str, reference: Result, tmp_path: Path
) -> None:
    copy = shutil.copytree(reference.folder, tmp_path / "run")
    (copy / file).unlink()
    if text is not None:
        (copy / file).write_text(text)
    with pytest.raises(FedctrError, match=message):
        BenchmarkRun(copy).test_rows(COLUMNS)


def test_a_damaged_configuration_is_named(reference: Result, tmp_path: Path) -> None:
    copy = shutil.copytree(reference.folder, tmp_path / "run")
    (copy / "config.toml").write_text("seeds =")
    with pytest.raises(FedctrError, match=r"config.toml: cannot be read .* start the run again with --out .*run"):
        _ = BenchmarkRun(copy).config
