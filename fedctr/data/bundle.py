"""The input files of a data set, wherever they lie: in a folder or in one zip archive."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from fedctr.errors import FedctrError

# What zipfile is known to raise for an archive that is cut short, altered or encrypted.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # includes NotImplementedError, for a compression method that zipfile lacks
    ValueError,
)


class Bundle:
    """Files found by their bare name; in an archive they may lie in any folder.

    Args:
        path: a folder, or a zip archive (a wheel is one).
        wanted: names the files that belong in it, for errors.
        fallback: what else the user can do; it ends every error.

    Raises:
        FedctrError: when the path does not exist or is not a readable archive.
    """

    def __init__(self, path: Path, wanted: str, fallback: str) -> None:
        self.path, self.fallback = path, fallback
        self.remedy = f"give a folder or archive with {wanted}, or {fallback}"
        try:
            if path.is_dir():
                self._members = {child.name: child.name for child in path.iterdir() if child.is_file()}
            else:
                with zipfile.ZipFile(path) as archive:
                    # A damaged directory may name anything; errors must stay on one line.
                    names = [name for name in archive.namelist() if name.isprintable()]
                # Of two members with one name the one nearest to the top wins, so it is written last.
                names.sort(key=lambda name: name.count("/"), reverse=True)
                self._members = {name.rpartition("/")[2]: name for name in names}
        except FileNotFoundError as error:
            raise FedctrError(f"{path}: no such file or folder; {self.remedy}") from error
        except PermissionError as error:
            raise FedctrError(f"{path}: permission denied; {self.remedy}") from error
        except _BROKEN as error:
            raise FedctrError(f"{path}: not a complete zip archive ({error}); {self.remedy}") from error

    def missing(self, files: Iterable[str]) -> list[str]:
        """Those of the files that are not here, in the given order."""
        return [file for file in files if file not in self._members]

    def paths(self, files: Iterable[str]) -> list[Path]:
        """What must be read from disk to have these files: each by itself, or the one archive."""
        return [self.path / file for file in files] if self.path.is_dir() else [self.path]

    def where(self, file: str) -> str:
        """How errors name a file, with its place in the archive."""
        return str(self.path / self._members.get(file, file))

    def read(self, file: str) -> bytes:
        """The whole content of one file.

        Raises:
            FedctrError: when it cannot be read, or the archive is damaged.
        """
        try:
            if self.path.is_dir():
                return (self.path / file).read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self._members[file])
        except _BROKEN as error:
            raise FedctrError(f"{self.where(file)}: cannot be read ({error}); {self.remedy}") from error
