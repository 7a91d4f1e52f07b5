import subprocess
import sys
from pathlib import Path

import pytest

from fedctr.data.loader import loaders
from fedctr.errors import FedctrError
from fedctr.models.model import models
from fedctr.scaffold import scaffold
from fedctr.strategy import strategies


@pytest.mark.exhaustive
def test_the_packages_pass_their_own_tests_as_they_are(tmp_path: Path) -> None:
    for registry, name in ((strategies, "twice-softer"), (models, "twice-deeper"), (loaders, "twice-longer")):
        folder, module = scaffold(registry, name, tmp_path), name.replace("-", "_")
        assert {file.name for file in folder.iterdir()} == {"pyproject.toml", f"{module}.py", f"test_{module}.py"}
    # Each package's folder is on the path where its own test is alone, too.
    ended = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
    assert "8 passed" in ended.stdout


def test_an_entry_point_says_what_the_package_brings(tmp_path: Path) -> None:
    for registry in (strategies, models, loaders):
        text = (scaffold(registry, registry.group[-6:], tmp_path) / "pyproject.toml").read_text()
        assert f'description = "A {registry.kind} for fedctr"' in text
        assert f'[project.entry-points."{registry.group}"]' in text


@pytest.mark.parametrize("name", ["", "Mine", "1st", "my_strategy", "my--own", "../mine"])
def test_another_form_of_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match="name it in lower case, with hyphens between words"):
        scaffold(strategies, name, tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    for registry, name in ((strategies, "fine-tuning"), (models, "din"), (loaders, "csv")):
        with pytest.raises(FedctrError, match=f"{name}: a {registry.kind} of this name is installed already"):
            scaffold(registry, name, tmp_path)


@pytest.mark.parametrize("name", ["class", "json", "torch", "fedctr"])
def test_a_name_that_is_one_of_pythons(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        FedctrError, match=f"{name}: Python knows {name} already, as a word or a module; choose another"
    ):
        scaffold(strategies, name, tmp_path)
    assert not any(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(FedctrError, match="mine: exists already"):
        scaffold(strategies, "mine", tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FedctrError, match=r"file/mine: cannot be written \(Not a directory\)"):
        scaffold(strategies, "mine", tmp_path / "file")
