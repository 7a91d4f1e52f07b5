"""Fetching the files of a data set: from one source after another, each checked by size and SHA-256."""

import hashlib
import http.client
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from fedctr.errors import FedctrError

CONNECT_SECONDS = 5.0
_BLOCK = 1 << 16


class UnreachableError(Exception):
    """A source that cannot be had at present; the next one is tried."""


@dataclass(frozen=True)
class Source(ABC):
    """One place from which a file can be had.

    Attributes:
        file: the name under which it is stored.
        size: in bytes.
        sha256: hexadecimal digest of the content.
    """

    file: str
    size: int
    sha256: str

    @property
    @abstractmethod
    def label(self) -> str:
        """How messages name the place."""

    @abstractmethod
    def download(self, folder: Path, progress: Progress) -> None:
        """Write ``folder / file``, unchecked.

        Raises:
            UnreachableError: when the place does not answer, or breaks off.
        """

    def verify(self, path: Path, remedy: str) -> None:
        """Compare a file with the size and the digest on record.

        Raises:
            FedctrError: when either differs, with file, expected, found and remedy.
        """
        size = path.stat().st_size
        if size != self.size:
            raise FedctrError(f"{path}: expected {self.size:,} bytes, found {size:,}; {remedy}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise FedctrError(f"{path}: expected SHA-256 {self.sha256}, found {found}; {remedy}")


@dataclass(frozen=True)
class Web(Source):
    """A file behind an address."""

    url: str

    @property
    def label(self) -> str:
        """The address."""
        return self.url

    def download(self, folder: Path, progress: Progress) -> None:
        """Stream the file, giving up when the server is silent for ``CONNECT_SECONDS``."""
        task = progress.add_task(self.file, total=self.size)
        received = 0
        try:
            with (
                urllib.request.urlopen(self.url, timeout=CONNECT_SECONDS) as response,
                (folder / self.file).open("wb") as file,
            ):
                announced = int(response.headers.get("Content-Length", self.size))
                while block := response.read(_BLOCK):
                    file.write(block)
                    received += len(block)
                    progress.update(task, completed=received)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(_reason(error)) from error
        if received < announced:
            raise UnreachableError(f"the connection broke off after {received:,} of {announced:,} bytes")


@dataclass(frozen=True)
class Wheel(Source):
    """A file that is a wheel on the Python Package Index; pip knows the mirrors that this machine may use."""

    requirement: str

    @property
    def label(self) -> str:
        """The requirement, as pip reads it."""
        return f"the wheel {self.requirement}"

    def download(self, folder: Path, progress: Progress) -> None:
        """Have pip download it, without its dependencies and without installing it."""
        task = progress.add_task(self.file, total=None)
        command = "-m pip download --quiet --disable-pip-version-check --no-input --no-deps --retries 2 --dest ."
        # pip runs in the new folder, so that no module of the user's own folder can take its place.
        pip = subprocess.run(
            [sys.executable, *command.split(), self.requirement], cwd=folder, capture_output=True, text=True
        )
        if pip.returncode != 0 or not (folder / self.file).is_file():
            complaints = [line for line in pip.stderr.splitlines() if line.strip()]
            raise UnreachableError(complaints[-1] if complaints else f"pip did not deliver {self.file}")
        progress.update(task, total=self.size, completed=self.size)


def obtain(name: str, sources: Sequence[Source], folder: Path) -> Path:
    """The file of a data set: as stored, else from the first source that answers.

    Progress and failed attempts are reported on stderr. The file appears in the folder whole and checked, or
    not at all.

    Args:
        name: the data set, for messages.
        sources: in the order of preference.
        folder: where files are stored; created if need be.

    Raises:
        FedctrError: when no source answers, a file differs from its size or digest, or the folder cannot be
            written.
    """
    for source in sources:
        stored = folder / source.file
        if stored.is_file():
            source.verify(stored, f"delete it, then run 'fedctr data get {name}'")
            return stored
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _fetched(name, sources, folder)
    except OSError as error:
        raise FedctrError(f"{folder}: {error}; set FEDCTR_CACHE to a folder that can be written") from error


def _fetched(name: str, sources: Sequence[Source], folder: Path) -> Path:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    failures = []
    for source in sources:
        console.print(f"{name}: fetching {source.label} ({source.size / 1e6:.1f} MB)", markup=False)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as scratch:
            arrived = Path(scratch) / source.file
            try:
                with _progress(console) as progress:
                    source.download(Path(scratch), progress)
                source.verify(arrived, "try again later, or download it by hand and give it with --path")
            except (UnreachableError, FedctrError) as error:
                failures.append(f"{source.label}: {error}")
                console.print(f"{name}: could not be fetched there: {error}", markup=False)
                continue
            return arrived.replace(folder / source.file)
    reasons = "; ".join(failures)
    raise FedctrError(f"data set {name}: no source has it ({reasons}); download it by hand and give --path")


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return str(getattr(cause, "strerror", None) or cause)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
