"""A run folder: whose it is, and how files get into it whole or not at all."""

import json
import re
import shutil
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from fedctr.errors import FedctrError

if TYPE_CHECKING:
    from fedctr.data.dataset import Dataset
    from fedctr.progress import Reporter
    from fedctr.published import Published

_LOCK = ".lock"  # stays where it is, since whoever waits for a file that is deleted waits for another one than the next


class RunFolder:
    """What a benchmark and federated training have in common: a folder that holds one run and nothing else.

    From :meth:`claim` until :meth:`leave`, or the end of the process, no other process can claim it; all can read it.

    Attributes:
        folder: the run folder.
        dataset: all samples, memory-mapped.
        reporter: hears of progress.
        stop: set when the user interrupts the run.
    """

    folder: Path
    dataset: "Dataset"
    reporter: "Reporter"
    stop: threading.Event
    _lock: FileLock

    @property
    def stop_file(self) -> Path:
        """Clients that see this file leave off; it is there only while a run is being stopped."""
        return self.folder.absolute() / ".stop"

    def claim(self, identity: dict[str, Any], toml: str) -> None:
        """Make the folder this run's own, or go on with it if it already is.

        Args:
            identity: what determines the results to the bit, as JSON gives it back.
            toml: the resolved configuration.

        Raises:
            FedctrError: when it holds another run or other files, another process is at work on it, or it cannot be
                written.
        """
        self._check(identity)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FedctrError(f"{self.folder}: cannot be created ({error.strerror}); choose another --out") from None
        self._take()
        try:
            self._check(identity)  # again, since another run may have come in between
            file = self.folder / "identity.json"
            write_whole(file, lambda fresh: fresh.write_text(json.dumps(identity, indent=1) + "\n", encoding="utf-8"))
            self.stop_file.unlink(missing_ok=True)
            write_whole(self.folder / "config.toml", lambda fresh: fresh.write_text(toml, encoding="utf-8"))
            self.lay_out()
        except BaseException:
            self._lock.release()
            raise

    def lay_out(self) -> None:
        """What else a run writes before its work starts, or reads of what it has done."""

    def leave(self) -> None:
        """Let others claim the folder, and take back what tells clients to stop."""
        self.stop_file.unlink(missing_ok=True)
        self._lock.release()

    def _check(self, identity: dict[str, Any]) -> None:
        """Refuse a folder with another run or other files, without touching it."""
        file = self.folder / "identity.json"
        try:
            # identity.json is what is written first, so a run stopped earlier than that left nothing else.
            begun = file.is_file()
            others = not begun and any(child.name not in (_LOCK, _fresh(file).name) for child in self.folder.iterdir())
        except FileNotFoundError:
            begun = others = False
        except NotADirectoryError:
            raise FedctrError(f"{self.folder}: is a file, not a folder; choose another --out") from None
        except OSError as error:
            raise FedctrError(f"{self.folder}: cannot be read ({error.strerror}); choose another --out") from None
        if others:
            raise FedctrError(f"{self.folder}: holds other files; choose another --out")
        if begun and read_json(file) != identity:
            raise FedctrError(f"{self.folder}: holds another run; choose another --out or delete the folder")

    def _take(self) -> None:
        """Keep other processes out; the system lets them in again when this one ends, however it ends."""
        file = self.folder.absolute() / _LOCK
        self._lock = FileLock(file, thread_local=False)
        with writing(file):
            try:
                self._lock.acquire(blocking=False)
            except Timeout:  # an OSError too, but not one of writing
                raise FedctrError(
                    f"{self.folder}: another process is at work on it; wait until it ends, or choose another --out"
                ) from None

    def kept_published(self, seed: int) -> "Published | None":
        """What the server published for one seed, if it has already."""
        return self._kept(self._published_folder(seed))

    def keep_published(self, published: "Published", facts: dict[str, Any], seed: int) -> None:
        """Put what the server published for one seed into ``published/seed-N``."""
        self._keep(published, facts, self._published_folder(seed))

    def published_facts(self, seed: int) -> dict[str, Any]:
        """What ``published.json`` of one seed says."""
        facts: dict[str, Any] = json.loads((self._published_folder(seed) / "published.json").read_text())
        return facts

    def _published_folder(self, seed: int) -> Path:
        return self.folder / "published" / f"seed-{seed}"

    def _kept(self, folder: Path) -> "Published | None":
        """What :meth:`_keep` has put there, if it has."""
        from fedctr.published import Published  # takes PyTorch, which whoever only reads a folder need not wait for

        return Published.load(folder)[0] if folder.is_dir() else None

    def _keep(self, published: "Published", facts: dict[str, Any], folder: Path) -> None:
        """Put what the server published, and facts on it, into a folder of their own."""

        def write(fresh: Path) -> None:
            fresh.mkdir()
            published.save(fresh, facts)

        write_whole(folder, write)

    def log(self, line: str) -> None:
        """Add a line to ``log.txt``."""
        with writing(self.folder / "log.txt") as file, file.open("a", encoding="utf-8") as text:
            text.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {line}\n")


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Have a file or folder written under another name, which a run that is killed leaves to the next one.

    Args:
        file: where it is in the end.
        write: gets the path to write to.

    Raises:
        FedctrError: when it cannot be written.
    """
    fresh = _fresh(file)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            _remove(fresh)
            write(fresh)
            fresh.replace(file)
        except BaseException:
            _remove(fresh)
            raise


def check_partitions(partitions: int, dataset: "Dataset") -> None:
    """Refuse partitions that would have no user.

    Raises:
        FedctrError: when there are more of them than users.
    """
    if partitions > dataset.users:
        raise FedctrError(
            f"partitions: {partitions:,} is more than the {dataset.users:,} users of {dataset.name}; "
            "a partition needs a user"
        )


def new_folder(name: str, model: str) -> Path:
    """A folder below ``runs/`` for a run that was given none, by data set, model and time."""
    slug = re.sub("[^a-z0-9]+", "-", model.lower()).strip("-")
    return Path("runs") / f"{name}-{slug}-{datetime.now():%Y%m%d-%H%M%S}"


@contextmanager
def writing(file: Path) -> Iterator[Path]:
    """Say which file it was that could not be written."""
    try:
        yield file
    except OSError as error:
        raise FedctrError(f"{file}: cannot be written ({error.strerror or error})") from error


def read_json(file: Path) -> Any:
    """What a JSON file says; None if it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_toml(file: Path) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        FedctrError: when it is missing or damaged.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FedctrError(
            f"{file}: cannot be read ({' '.join(str(error).split())}); start the run again with --out {file.parent} to "
            "write it anew"
        ) from None


def without_nan(value: Any) -> Any:
    """JSON has no NaN; what could not be computed is null."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _fresh(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
