import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fedctr.summary import Result
from tests.application import files

pytestmark = pytest.mark.usefixtures("small_cache")

Fedctr = Callable[..., tuple[int, str, str]]


def test_the_report_is_put_into_the_run_folder(fedctr: Fedctr, reference: Result, tmp_path: Path) -> None:
    shutil.copytree(reference.folder, tmp_path / "läufe/a b")
    assert fedctr("report", "läufe/a b") == (0, "Report: läufe/a b/report.html\n", "")
    page = (tmp_path / "läufe/a b/report.html").read_text(encoding="utf-8")
    assert "label-correction[variant=shift] is not shown to change user AUC against no fine-tuning" in page
    assert "Run folder läufe/a b." in page


def test_figures_are_kept_for_papers(fedctr: Fedctr, reference: Result, tmp_path: Path) -> None:
    code, out, _ = fedctr("report", str(reference.folder), "--out", "page.html", "--figures", "figures")
    assert code == 0
    assert out == "Report: page.html\nFigures: 14 files in figures\n"
    names = ("differences", "users", "by-drift", "by-local-samples", "calibration", "choice", "training")
    assert files(tmp_path / "figures") == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such folder; `fedctr runs` lists those below runs/"),
        (["other"], "other: is not the folder of a run; `fedctr runs` lists those below runs/"),
        (["begun"], "begun: the benchmark is not finished; start it again with --out begun to go on"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(
    arguments: list[str], message: str, fedctr: Fedctr, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "begun/cells").mkdir(parents=True)
    (tmp_path / "begun/identity.json").write_text("{}")
    before = files(tmp_path)
    code, out, err = fedctr("report", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"fedctr: {message}")
    assert err.count("\n") == 1
    assert files(tmp_path) == before
