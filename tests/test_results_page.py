"""``experiments/results.py``."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fedctr.errors import FedctrError
from fedctr.summary import Result

FILE = Path(__file__).parents[1] / "experiments" / "results.py"


@pytest.fixture(scope="module")
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["results"] = module
    spec.loader.exec_module(module)
    del sys.modules["results"]
    return module


def row(low: float, high: float, corrected_low: float, corrected_high: float, **more: Any) -> dict[str, Any]:
    limits = {"mean": 0.003, "low": low, "high": high, "corrected_low": corrected_low, "corrected_high": corrected_high}
    numbers = {f"vs_fine_tuning.{key}": str(value) for key, value in (limits | {"users": 810, "seeds": 3}).items()}
    return {
        "sweep": "grid",
        "status": "done",
        "real": True,
        "strategy": "label-correction",
        "dataset": "movielens-100k",
        "model": "din",
        **numbers,
        **more,
    }


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ((0.001, 0.005, 0.0005, 0.006), "shown better"),
        ((0.001, 0.005, -0.0005, 0.006), "perhaps better"),
        ((-0.001, 0.005, -0.002, 0.006), "not shown"),
        ((-0.005, -0.001, -0.006, 0.001), "perhaps worse"),
        ((-0.005, -0.001, -0.006, -0.0005), "shown worse"),
        ((0.0, 0.005, 0.0, 0.006), "not shown"),
    ],
)
def test_a_conclusion_is_as_strong_as_the_interval(
    limits: tuple[float, float, float, float], verdict: str, results: ModuleType
) -> None:
    assert results.judge(row(*limits), "vs_fine_tuning") == verdict


def test_there_is_no_conclusion_without_an_interval(results: ModuleType) -> None:
    assert results.judge(row(1, 1, 1, 1, status="failed"), "vs_fine_tuning") is None
    assert results.judge(row(1, 1, 1, 1, strategy="fine-tuning"), "vs_fine_tuning") is None
    assert results.judge(row(1, 1, 1, 1, **{"vs_fine_tuning.low": ""}), "vs_fine_tuning") is None
    assert results.judge(row(1, 1, 1, 1), "vs_no_fine_tuning") is None


def test_a_sentence_says_how_much_over_how_many(results: ModuleType) -> None:
    assert results.sentence(row(-0.001, 0.005, -0.002, 0.006), "vs_fine_tuning") == (
        "label-correction against plain fine-tuning, din on movielens-100k: +0.0030 [-0.0010, +0.0050] in user AUC "
        "over 810 users and 3 seeds: the interval includes 0: not shown"
    )


def test_a_page_says_what_is_real_generated_and_not_run(results: ModuleType) -> None:
    rows = [
        row(-0.001, 0.005, -0.002, 0.006),
        row(0.001, 0.005, 0.0005, 0.006, dataset="synthetic[users=9]", strategy="pairwise", real=False),
        row(0, 0, 0, 0, dataset="taobao-ads", status="skipped", reason="no files"),
    ]
    page = results.render(
        [results.Study(Path("runs/mine"), rows, "| table |", [Path("runs/mine/grid.png")])], "By hand."
    )
    assert "\n\nBy hand.\n\n" in page
    assert "- On real data: `movielens-100k`.\n" in page
    assert ": `synthetic[users=9]`.\n- Not run: din on taobao-ads: no files.\n" in page
    assert "**grid.** Real and generated data." in page
    assert "| pairwise | plain fine-tuning | 1 | 0 | 0 | 0 | 0 |" in page
    assert "| label-correction | plain fine-tuning | 0 | 0 | 1 | 0 | 0 |" in page
    assert "![grid](results/mine/grid.png)" in page


def test_a_run_is_written_with_its_table_and_picture(results: ModuleType, reference: Result, tmp_path: Path) -> None:
    page = results.write([reference.folder], into=tmp_path).read_text()
    entry = reference.summary["strategies"]["fine-tuning"]
    assert f"| fine-tuning | {entry['auc_user_mean']:.4f} | {entry['gauc_impressions']:.4f} |" in page
    assert "- On real data: nothing.\n" in page
    copied = tmp_path / "results" / reference.folder.name / "comparison.png"
    assert copied.read_bytes() == (reference.folder / "comparison.png").read_bytes()


def test_a_folder_that_holds_nothing_and_two_of_one_name_are_refused(
    results: ModuleType, reference: Result, tmp_path: Path
) -> None:
    with pytest.raises(FedctrError, match="holds neither a finished run nor a finished grid"):
        results.write([tmp_path], into=tmp_path)
    with pytest.raises(FedctrError, match="2 folders have this name; rename one"):
        results.write([reference.folder, reference.folder], into=tmp_path)
    assert not (tmp_path / "RESULTS.md").exists()


def test_files_of_invented_content_are_called_generated(results: ModuleType, reference: Result, tmp_path: Path) -> None:
    class Read:
        needs_files = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedctr.data.loader.loaders.classes", lambda: {"synthetic": Read})
        real = results.read(reference.folder)
        invented = results.read(reference.folder, generated=True)
    assert all(row["real"] for row in real.rows)
    assert not any(row["real"] for row in invented.rows)
