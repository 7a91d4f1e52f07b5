import zipfile
from pathlib import Path

import pytest

from fedctr.data.bundle import Bundle
from fedctr.errors import FedctrError


def bundle(path: Path) -> Bundle:
    return Bundle(path, "a.txt", "do without")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("deep/er/a.txt", "too deep")
        file.writestr("top/a.txt", "from the archive")
    return path


def test_a_folder_holds_files_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("here")
    (tmp_path / "b.txt").mkdir()
    found = bundle(tmp_path)
    assert found.read("a.txt") == b"here"
    assert found.missing(["a.txt", "b.txt", "c.txt"]) == ["b.txt", "c.txt"]
    assert found.paths(["a.txt"]) == [tmp_path / "a.txt"]


def test_in_an_archive_the_folder_does_not_matter_and_the_nearest_to_the_top_is_taken(archive: Path) -> None:
    found = bundle(archive)
    assert found.read("a.txt") == b"from the archive"
    assert found.where("a.txt") == f"{archive}/top/a.txt"
    assert found.missing(["a.txt", "b.txt"]) == ["b.txt"]
    assert found.paths(["a.txt"]) == [archive]


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FedctrError) as caught:
        bundle(tmp_path / "gone")
    assert str(caught.value) == (
        f"{tmp_path / 'gone'}: no such file or folder; give a folder or archive with a.txt, or do without"
    )


@pytest.mark.parametrize("content", [b"", b"user\titem\n", b"PK\x03\x04"])
def test_a_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "u.data").write_bytes(content)
    with pytest.raises(
        FedctrError, match=r"u.data: not a complete zip archive \(File is not a zip file\); give a folder"
    ):
        bundle(tmp_path / "u.data")


def test_names_that_would_break_an_error_into_lines_are_not_seen(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as file:
        file.writestr("od\nd/a.txt", "")
    assert bundle(tmp_path / "odd.zip").missing(["a.txt"]) == ["a.txt"]
