"""The input files of a data set, wherever they lie: in a folder, packed one by one, or in one zip archive."""

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from fedctr.data.reading import Reading
from fedctr.errors import FedctrError
from fedctr.progress import Reporter, Silent

CHUNK = 1 << 24  # bytes read at once
_MEGABYTE = 10**6
_ARCHIVES = (".zip", ".whl")
_PACKED = (".tar.gz", ".tgz", ".gz", ".zip")  # as single files are packed for download
# What the packers' modules are known to raise for a file that is cut short, altered or encrypted.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,  # includes gzip.BadGzipFile
    RuntimeError,  # includes NotImplementedError, for a compression method that zipfile lacks
    ValueError,
)


class Bundle:
    """Files found by their bare name.

    Args:
        path: a folder, in which each file may be packed by itself (``.gz``, ``.tar.gz`` or ``.zip`` after its name); a
            zip archive (a wheel is one), in which they may lie in any folder; or a single file, packed or not.
        wanted: names the files that belong in it, for errors.
        fallback: what else the user can do; it ends every error.

    Raises:
        FedctrError: when the path does not exist or is not a readable archive.
    """

    def __init__(self, path: Path, wanted: str, fallback: str) -> None:
        self.path, self.fallback = path, fallback
        self.remedy = f"give a folder or archive with {wanted}, or {fallback}"
        self._is_archive = path.is_file() and path.suffix in _ARCHIVES
        try:
            if path.is_dir():
                files = [child.name for child in path.iterdir() if child.is_file()]
                # Of a file that is there both packed and not the latter is taken, so it is written last.
                files.sort(key=lambda name: _bare(name) == name)
                self._members = {_bare(name): name for name in files}
            elif self._is_archive:
                with zipfile.ZipFile(path) as archive:
                    # A damaged directory may name anything; errors must stay on one line.
                    names = [name for name in archive.namelist() if name.isprintable() and not name.endswith("/")]
                # Of two members with one name the one nearest to the top wins, so it is written last.
                names.sort(key=lambda name: name.count("/"), reverse=True)
                self._members = {name.rpartition("/")[2]: name for name in names}
            else:
                path.open("rb").close()
                self._members = {_bare(path.name): path.name}
        except FileNotFoundError as error:
            raise FedctrError(f"{path}: no such file or folder; {self.remedy}") from error
        except PermissionError as error:
            raise FedctrError(f"{path}: permission denied; {self.remedy}") from error
        except _BROKEN as error:
            raise FedctrError(f"{path}: not a complete zip archive ({error}); {self.remedy}") from error

    @property
    def files(self) -> list[str]:
        """The bare names of all files, sorted."""
        return sorted(self._members)

    def missing(self, files: Iterable[str]) -> list[str]:
        """Those of the files that are not here, in the given order."""
        return [file for file in files if file not in self._members]

    def paths(self, files: Iterable[str]) -> list[Path]:
        """What must be read from disk to have these files: each by itself, or the one archive."""
        return [self.path / self._members.get(file, file) for file in files] if self.path.is_dir() else [self.path]

    def where(self, file: str) -> str:
        """How errors name a file, with its place in the archive."""
        return str(self.path / self._members.get(file, file) if self.path.is_dir() or self._is_archive else self.path)

    def chunks(self, file: str, reading: Reading) -> Iterator[bytes]:
        """The content of one file, some megabytes at a time, unpacked; of a large file the progress is told.

        Raises:
            FedctrError: when it cannot be read, or is damaged.
        """
        with ExitStack() as stack:
            try:
                stream, total, position = self._opened(file, stack)
                reporter: Reporter = reading.reporter if total > CHUNK else Silent()
                told = 0
                reporter.phase(f"reading {file} (MB)", total // _MEGABYTE)
                while data := stream.read(CHUNK):
                    yield data
                    reporter.advance(position() // _MEGABYTE - told)
                    told = position() // _MEGABYTE
                reporter.finish()
            except _BROKEN as error:
                raise FedctrError(f"{self.where(file)}: cannot be read ({error}); {self.remedy}") from error

    def pieces(self, file: str, reading: Reading) -> Iterator[bytes]:
        """The same in pieces of whole lines, without the end of the last one; none of an empty file.

        A byte order mark is left out, and so are blank lines at the end of the file.
        """
        rest, mark = b"", b"\xef\xbb\xbf"
        for chunk in self.chunks(file, reading):
            rest = (rest + chunk).removeprefix(mark)
            end = rest.rfind(b"\n", 0, len(rest.rstrip(b"\r\n")))
            if end >= 0:
                yield rest[:end]
                rest, mark = rest[end + 1 :], b""
        if rest := rest.rstrip(b"\r\n"):
            yield rest

    def _opened(self, file: str, stack: ExitStack) -> tuple[IO[bytes], int, Callable[[], int]]:
        """The unpacked stream; how many bytes there are to go through, and how many have been."""
        if self._is_archive:
            return _zipped(self.path, self._members[file], stack)
        path = self.path / self._members.get(file, file) if self.path.is_dir() else self.path
        if path.suffix == ".zip":
            return _zipped(path, file, stack)
        raw = stack.enter_context(path.open("rb"))
        size, suffix = path.stat().st_size, path.name.removeprefix(file)
        if suffix in (".tar.gz", ".tgz"):
            archive = stack.enter_context(tarfile.open(fileobj=raw, mode="r|gz"))  # noqa: SIM115
            for member in archive:
                if member.isfile() and member.name.rpartition("/")[2] == file:
                    stream = archive.extractfile(member)
                    assert stream is not None, "a regular file has content"
                    return stream, size, raw.tell
            raise EOFError(f"it holds no {file}")
        if suffix == ".gz":
            unpacked = cast(IO[bytes], gzip.open(raw))  # noqa: SIM115
            return stack.enter_context(unpacked), size, raw.tell
        return raw, size, raw.tell


def _bare(name: str) -> str:
    for suffix in _PACKED:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


def _zipped(path: Path, member: str, stack: ExitStack) -> tuple[IO[bytes], int, Callable[[], int]]:
    archive = stack.enter_context(zipfile.ZipFile(path))
    names = [name for name in archive.namelist() if name == member or name.endswith(f"/{member}")]
    if not names:
        raise EOFError(f"it holds no {member}")
    name = min(names, key=lambda name: name.count("/"))
    stream = stack.enter_context(archive.open(name))
    return stream, archive.getinfo(name).file_size, stream.tell
