"""``fedctr bench`` with a file that has axes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.application import files
from tests.grid.study import STUDY, TABLES, tables, write_study
from tests.mischief import kill

pytestmark = pytest.mark.usefixtures("small_cache")

Fedctr = Callable[..., tuple[int, str, str]]

# Stops for good at the third experiment, while a file "armed" lies in the current folder.
WAITS = """
import time
from dataclasses import dataclass
from pathlib import Path
from fedctr import ClientStrategy

@dataclass(frozen=True)
class Waits(ClientStrategy):
    name = "waits"
    def targets(self, local, published):
        while Path("armed").exists() and len(list(Path("out").rglob("summary.json"))) == 2:
            Path("begun").touch()
            time.sleep(0.1)
        return local.labels
"""


def test_a_grid_that_is_killed_goes_on_and_ends_with_the_same_tables(fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(WAITS)
    study = write_study(tmp_path, STUDY.replace('"label-correction"', '"my:Waits"').replace("seeds = 2", "seeds = 1"))
    (tmp_path / "armed").touch()
    said = kill(tmp_path, ["bench", study.name], began=tmp_path / "begun")
    assert "test: 3 strategies x 1 seed\n" in said
    assert said.count("experiment 3 of 4: lr on synthetic[users=50]") == 1
    finished = {name for name in files(tmp_path / "out") if name.endswith("summary.json")}
    assert finished == {f"synthetic-users=40/{model}/summary.json" for model in ("lr", "ncf-embedding=4")}
    assert not any((tmp_path / "out" / name).exists() for name in TABLES)
    when = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in finished}

    (tmp_path / "armed").unlink()
    code, printed, err = fedctr("bench", study.name)
    assert code == 0, err
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in finished} == when
    killed = tables(tmp_path / "out")

    (tmp_path / "out").rename(tmp_path / "killed")
    assert fedctr("bench", study.name)[:2] == (0, printed)
    assert tables(tmp_path / "out") == killed


def test_the_table_is_printed_and_kept_in_four_forms_with_a_picture(fedctr: Fedctr, tmp_path: Path) -> None:
    code, out, err = fedctr("bench", write_study(tmp_path).name)
    assert code == 0
    assert out == f"{(tmp_path / 'out/table.txt').read_text()}\nFolder of the grid: out\nReport: out/report.html\n"
    assert err.splitlines()[0] == "experiment 1 of 4: lr on synthetic[users=40]"
    with (tmp_path / "out/table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    for row in rows:
        entry = json.loads((Path(row["folder"]) / "summary.json").read_text())["strategies"][row["strategy"]]
        assert float(row["vs_fine_tuning.low"]) == entry["vs_fine_tuning"]["low"]
        assert f"{entry['auc_user_mean']:.4f}" in out
    assert {name for name in files(tmp_path / "out") if "/" not in name} == {
        *TABLES,
        "config.toml",
        "grid.png",
        "grid.svg",
        "report.html",
    }


def test_json_has_every_summary(fedctr: Fedctr, tmp_path: Path) -> None:
    study = write_study(tmp_path).name
    code, out, _ = fedctr("bench", study, "--models", "lr", "--json")
    assert code == 0
    found = json.loads(out)
    assert [one["axes"] for one in found] == [
        {"dataset": f"synthetic[users={users}]", "model": "lr"} for users in (40, 50)
    ]
    for one in found:
        assert one["summary"] == json.loads((Path(one["folder"]) / "summary.json").read_text())
    assert not (tmp_path / "out/synthetic-users=40/ncf-embedding=4").exists()


def test_options_restrict_and_override(fedctr: Fedctr, tmp_path: Path) -> None:
    study = write_study(tmp_path).name
    options = ["--datasets", "synthetic[users=50]", "--model", "lr", "--seeds", "1", "--out", "elsewhere"]
    code, out, _ = fedctr("bench", study, *options, "--strategies", "no-fine-tuning")
    assert code == 0
    assert {name for name in files(tmp_path / "elsewhere") if name.endswith("summary.json")} == {
        "synthetic-users=50/lr/summary.json"
    }
    assert "seeds = 1\n" in (tmp_path / "elsewhere/synthetic-users=50/lr/config.toml").read_text()
    assert "fine-tuning" in out
    assert not list((tmp_path / "elsewhere").glob("*.png"))  # there is nothing to compare


def test_what_failed_is_in_the_table_and_the_exit_code_is_1(fedctr: Fedctr, tmp_path: Path) -> None:
    study = write_study(tmp_path, STUDY.replace("users=50", "users=1")).name
    code, out, err = fedctr("bench", study, "--models", "lr")
    assert code == 1
    reason = "partitions: 2 is more than the 1 users of synthetic; a partition needs a user"
    assert f"lr on synthetic[users=1] failed: {reason}" in out
    assert f"lr on synthetic[users=1] failed: {reason}" in err
    assert "Traceback" not in err
    status = [line.split()[-1] for line in out.splitlines() if line.strip().startswith("synthetic[users=1]")]
    assert status == ["failed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study.toml", "--datasets", "synthetic[users=51]"], "--datasets: no experiment of the grid has dataset"),
        (["study.toml", "--models", "ncf[embedding=5]"], "--models: no experiment of the grid has model 'ncf["),
        (["study.toml", "--seeds", "0"], "study.toml: dataset=synthetic[users=40], model=lr: seeds: Input should be"),
        (["study.toml", "--strategies", "fine-tunning"], "unknown strategy 'fine-tunning'; did you mean fine-tuning"),
        (["--datasets", "synthetic"], "--datasets chooses among the experiments of a grid; give a file with axes"),
        (["single.toml", "--models", "lr"], "--models chooses among the experiments of a grid; give a file with axes"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(
    arguments: list[str], message: str, fedctr: Fedctr, tmp_path: Path
) -> None:
    write_study(tmp_path)
    (tmp_path / "single.toml").write_text("seeds = 1\n")
    before = files(tmp_path)
    code, out, err = fedctr("bench", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"fedctr: {message}")
    assert err.count("\n") == 1
    assert files(tmp_path) == before


def test_a_file_in_the_way_of_the_tables_is_named(fedctr: Fedctr, tmp_path: Path) -> None:
    (tmp_path / "out/table.txt").mkdir(parents=True)
    one = "--datasets", "synthetic[users=40]", "--models", "lr"
    code, _, err = fedctr("bench", write_study(tmp_path).name, *one)
    assert code == 2
    assert "fedctr: out/table.txt: cannot be written" in err
