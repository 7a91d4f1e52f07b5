import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from fedctr.data.cache import cache_folder, files_of, open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.movielens import MovieLens100K
from fedctr.data.source import Web
from fedctr.data.synthetic import Synthetic
from fedctr.errors import FedctrError
from fedctr.progress import Silent

SPEC = "synthetic[users=20]"


def stored(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "datasets").iterdir())


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEDCTR_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("FEDCTR_CACHE", "here")
    assert cache_folder() == Path.cwd() / "here"


def test_the_cache_is_else_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDCTR_CACHE", raising=False)
    assert cache_folder() == Path(platformdirs.user_cache_dir("fedctr"))


def test_a_data_set_is_read_once_and_then_mapped(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_dataset(SPEC)
    monkeypatch.setattr(Synthetic, "read", lambda *_: pytest.fail("read twice"))
    again = open_dataset(SPEC)
    assert first.content_hash == again.content_hash == Dataset.open(again.folder or Path()).content_hash
    assert not again.item.flags.owndata
    assert stored(empty_cache) == [again.folder.name if again.folder else ""]


def test_the_folder_is_named_after_the_loader(empty_cache: Path) -> None:
    dataset = open_dataset(SPEC)
    assert dataset.name == "synthetic"
    assert dataset.folder is not None
    assert dataset.folder.parent == empty_cache / "datasets"
    assert dataset.folder.name.startswith("synthetic-")


def test_other_options_are_another_copy(empty_cache: Path) -> None:
    assert open_dataset(SPEC).folder != open_dataset("synthetic[users=20,seed=1]").folder
    assert open_dataset(SPEC).folder == open_dataset("synthetic[users=20,seed=0]").folder


@pytest.mark.usefixtures("empty_cache")
def test_another_version_of_the_loader_is_another_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_dataset(SPEC)
    monkeypatch.setattr(Synthetic, "version", 2)
    assert open_dataset(SPEC).folder != first.folder


@pytest.mark.usefixtures("empty_cache")
def test_the_copy_hangs_on_the_content_of_the_files(official: Path) -> None:
    first = open_dataset("movielens-100k", official)
    (official / "README").write_text("not read")
    os.utime(official / "u.data", (0, 0))
    assert open_dataset("movielens-100k", official).folder == first.folder
    ratings = official / "u.data"
    ratings.write_text(ratings.read_text().replace("\t5\t", "\t4\t"))
    changed = open_dataset("movielens-100k", official)
    assert changed.folder != first.folder
    assert changed.content_hash == first.content_hash  # both are positives


def test_a_faulty_file_leaves_nothing_behind(empty_cache: Path, official: Path) -> None:
    (official / "u.data").write_text("1\t10\tx\t7\n")
    with pytest.raises(FedctrError, match="field rating"):
        open_dataset("movielens-100k", official)
    assert not (empty_cache / "datasets").exists()


def test_a_data_set_of_one_class_is_refused(empty_cache: Path, official: Path) -> None:
    (official / "u.data").write_text("1\t10\t4\t7\n1\t9\t5\t8\n")
    with pytest.raises(FedctrError, match="data set movielens-100k: all 2 labels are 1; a click-through rate needs"):
        open_dataset("movielens-100k", official)
    assert not (empty_cache / "datasets").exists()


def test_processes_that_build_it_at_once_all_succeed(empty_cache: Path) -> None:
    code = f"from fedctr.data.cache import open_dataset; print(open_dataset({SPEC!r}).content_hash)"
    crowd = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate() for process in crowd]
    assert [process.returncode for process in crowd] == [0, 0, 0], said
    assert len(set(said)) == 1
    assert len(stored(empty_cache)) == 1


def test_who_comes_second_takes_the_copy_of_the_first(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Dataset.save

    def overtaken(self: Dataset, folder: Path) -> None:
        save(self, folder)
        other = empty_cache / "datasets" / folder.name
        other.mkdir()
        save(self, other)
        (other / "mark").touch()

    monkeypatch.setattr(Dataset, "save", overtaken)
    folder = open_dataset(SPEC).folder
    assert folder is not None
    assert (folder / "mark").exists()
    assert stored(empty_cache) == [folder.name]


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEDCTR_CACHE", str(tmp_path / "file"))
    with pytest.raises(FedctrError, match="set FEDCTR_CACHE to a folder that can be written"):
        open_dataset(SPEC)


def test_files_for_a_generator_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match="synthetic is generated, not read; leave out --path"):
        open_dataset(SPEC, tmp_path)
    with pytest.raises(FedctrError, match="synthetic is generated: there is nothing to fetch"):
        files_of(Synthetic())


def test_a_data_set_without_a_source_asks_for_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MovieLens100K, "sources", ())
    with pytest.raises(FedctrError) as caught:
        open_dataset("movielens-100k")
    assert str(caught.value) == (
        "data set movielens-100k cannot be fetched: "
        "get its files from https://grouplens.org/datasets/movielens/ and give them with --path"
    )


def test_without_a_path_the_stored_download_is_read(
    empty_cache: Path,
    official: Path,
    zipped: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = zipped(official).read_bytes()
    downloads = empty_cache / "downloads" / "movielens-100k"
    downloads.mkdir(parents=True)
    (downloads / "tiny.zip").write_bytes(content)
    source = Web("tiny.zip", len(content), hashlib.sha256(content).hexdigest(), "http://127.0.0.1/unused")
    monkeypatch.setattr(MovieLens100K, "sources", (source,))
    assert files_of(MovieLens100K()) == downloads / "tiny.zip"
    assert open_dataset("movielens-100k").samples == 5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("movielens-10k", "unknown data set 'movielens-10k'; did you mean movielens-100k"),
        ("synthetic[user=3]", "data set synthetic has no option 'user'; it has users, items"),
        ("synthetic[users=0]", "users is 0; it must be a whole number of at least 1"),
    ],
)
def test_a_wrong_name_or_option(spec: str, message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        open_dataset(spec)
    assert message in str(caught.value)


def test_a_file_is_read_for_its_digest_again_only_when_it_has_changed(
    empty_cache: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_dataset("movielens-100k", official)
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert open_dataset("movielens-100k", official).folder == first.folder
    (official / "u.data").write_bytes((official / "u.data").read_bytes() + b"2\t9\t5\t878887117\n")
    assert open_dataset("movielens-100k", official).samples == first.samples + 1


def test_skipped_rows_are_counted_for_as_long_as_the_data_set_is_kept(empty_cache: Path, official: Path) -> None:
    with (official / "u.data").open("a") as file:
        file.write("1\tten\t3\t7\n")
    for _ in range(2):
        said = Lines()
        dataset = open_dataset("movielens-100k", official, "skip", said)
        assert (dataset.samples, dataset.bad_rows) == (5, 1)
        assert said.lines[-1] == "movielens-100k: 1 malformed rows of the official files were left out"


class Lines(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)
