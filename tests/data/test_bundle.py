import gzip
import tarfile
import zipfile
from pathlib import Path

import pytest

from fedctr.data.bundle import Bundle
from fedctr.data.reading import Reading
from fedctr.errors import FedctrError
from fedctr.progress import Silent


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
    assert b"".join(found.chunks("a.txt", Reading())) == b"here"
    assert found.missing(["a.txt", "b.txt", "c.txt"]) == ["b.txt", "c.txt"]
    assert found.paths(["a.txt"]) == [tmp_path / "a.txt"]


def test_in_an_archive_the_folder_does_not_matter_and_the_nearest_to_the_top_is_taken(archive: Path) -> None:
    found = bundle(archive)
    assert b"".join(found.chunks("a.txt", Reading())) == b"from the archive"
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
    (tmp_path / "u.zip").write_bytes(content)
    with pytest.raises(
        FedctrError, match=r"u.zip: not a complete zip archive \(File is not a zip file\); give a folder"
    ):
        bundle(tmp_path / "u.zip")


def test_names_that_would_break_an_error_into_lines_are_not_seen(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as file:
        file.writestr("od\nd/a.txt", "")
    assert bundle(tmp_path / "odd.zip").missing(["a.txt"]) == ["a.txt"]


@pytest.mark.parametrize("packed", ["a.txt", "a.txt.gz", "a.txt.tar.gz", "a.txt.tgz", "a.txt.zip"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_file_may_be_packed_by_itself(tmp_path: Path, packed: str, alone: bool) -> None:
    content = b"here\n" * 100
    (tmp_path / "plain").write_bytes(content)
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / packed
    if packed.endswith(("tar.gz", "tgz")):
        with tarfile.open(path, "w:gz") as archive:
            archive.add(tmp_path / "plain", "deep/a.txt")
    elif packed.endswith("gz"):
        path.write_bytes(gzip.compress(content))
    elif packed.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "plain", "a.txt")
    else:
        path.write_bytes(content)
    found = bundle(path if alone else folder)
    assert found.files == ["a.txt"]
    assert found.paths(["a.txt"]) == [path]
    assert b"".join(found.chunks("a.txt", Reading())) == content


@pytest.mark.parametrize("packed", ["a.txt.gz", "a.txt.tar.gz", "a.txt.zip"])
def test_a_packed_file_that_is_damaged(tmp_path: Path, packed: str) -> None:
    (tmp_path / packed).write_bytes(b"no archive at all")
    with pytest.raises(FedctrError, match=f"{packed}: cannot be read .*; give a folder or archive with a.txt, or do"):
        list(bundle(tmp_path).chunks("a.txt", Reading()))


def test_unpacked_is_preferred_to_packed(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(b"")
    (tmp_path / "a.txt").write_bytes(b"plain")
    assert b"".join(bundle(tmp_path).chunks("a.txt", Reading())) == b"plain"


def test_of_a_large_file_the_progress_is_told_in_megabytes(tmp_path: Path) -> None:
    told: list[tuple[str, int | None] | int] = []

    class Heard(Silent):
        def phase(self, name: str, total: int | None = None, unit: str = "") -> None:
            told.append((name, total))

        def advance(self, steps: int = 1, note: str = "") -> None:
            told.append(steps)

    (tmp_path / "a.txt").write_bytes(bytes(40_000_000))
    (tmp_path / "b.txt").write_bytes(b"little")
    for file in ("a.txt", "b.txt"):
        for _ in bundle(tmp_path).chunks(file, Reading(reporter=Heard())):
            pass
    assert told == [("reading a.txt (MB)", 40), 16, 17, 7]
