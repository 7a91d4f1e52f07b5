import subprocess
import sys
from pathlib import Path

import pytest

from fedctr.errors import FedctrError
from fedctr.scaffold import scaffold


def test_the_package_passes_its_own_test_as_it_is(tmp_path: Path) -> None:
    folder = scaffold("twice-softer", tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == [
        "pyproject.toml",
        "test_twice_softer.py",
        "twice_softer.py",
    ]
    ended = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


@pytest.mark.parametrize("name", ["", "Mine", "1st", "my_strategy", "my--own", "../mine"])
def test_another_form_of_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match="name it in lower case, with hyphens between words"):
        scaffold(name, tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match="fine-tuning: a strategy of this name is installed already"):
        scaffold("fine-tuning", tmp_path)


@pytest.mark.parametrize("name", ["class", "json", "torch", "fedctr"])
def test_a_name_that_is_one_of_pythons(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        FedctrError, match=f"{name}: Python knows {name} already, as a word or a module; choose another"
    ):
        scaffold(name, tmp_path)
    assert not any(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(FedctrError, match="mine: exists already"):
        scaffold("mine", tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FedctrError, match=r"file/mine: cannot be written \(Not a directory\)"):
        scaffold("mine", tmp_path / "file")
