"""Data sets on disk: read once, then memory-mapped from a folder that is named after their content."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import platformdirs

from fedctr.data.dataset import LAYOUT, Dataset
from fedctr.data.loader import Loader, loaders
from fedctr.data.reading import OnBadRow, Reading
from fedctr.data.source import obtain
from fedctr.errors import FedctrError
from fedctr.fingerprint import fingerprint
from fedctr.progress import Reporter
from fedctr.registry import is_shipped


def cache_folder() -> Path:
    """Where downloads and prepared data sets are kept: ``$FEDCTR_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("FEDCTR_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_cache_dir("fedctr"))


def open_dataset(
    spec: str, path: Path | None = None, on_bad_row: OnBadRow = "stop", reporter: Reporter | None = None
) -> Dataset:
    """A data set, memory-mapped; it is read from its files (or generated) the first time only.

    Args:
        spec: a loader's name with options, such as ``"movielens-100k"`` or ``"synthetic[users=1000]"``.
        path: the folder or archive with its files; None to use those of ``fedctr data get``, which are
            fetched now if need be.
        on_bad_row: ``stop`` refuses files with a malformed row, ``skip`` leaves such rows out and counts them.
        reporter: hears of progress while it is read; None for silence.

    Returns:
        The data set, whose ``folder`` other processes can open.

    Raises:
        FedctrError: for an unknown name or option, files that are missing, malformed or not to be had, a data
            set from which nothing can be learnt, or a cache folder that cannot be written.
    """
    loader = loaders.create(spec)
    if path is not None and not loader.needs_files:
        raise FedctrError(f"data set {loader.name} is generated, not read; leave out --path")
    if path is None and loader.needs_files:
        path = files_of(loader)
    folder = cache_folder() / "datasets" / f"{loader.name}-{_key(loader, path, on_bad_row)}"
    if not folder.is_dir():
        reading = Reading(on_bad_row, reporter)
        dataset = replace(loader.read(path, reading), bad_rows=reading.bad_rows)
        for example in reading.examples:
            reading.reporter.say(f"skipped: {example}")
        try:
            dataset.check()
        except FedctrError as error:
            raise FedctrError(f"{path}: {error}" if path else str(error)) from None
        store(folder, dataset.save)
    dataset = Dataset.open(folder)
    if dataset.bad_rows and reporter:
        reporter.say(f"{dataset.name}: {dataset.bad_rows:,} malformed rows of the official files were left out")
    return dataset


def files_of(loader: Loader) -> Path:
    """The files of a data set as ``fedctr data get`` stores them, fetched now if need be.

    Raises:
        FedctrError: when the loader has no source, or none answers.
    """
    if not loader.needs_files:
        raise FedctrError(f"data set {loader.name} is generated: there is nothing to fetch")
    if not loader.sources:
        place = f" from {loader.home}" if loader.home else ""
        raise FedctrError(f"data set {loader.name} cannot be fetched: get its files{place} and give them with --path")
    return obtain(loader.name, loader.sources, cache_folder() / "downloads" / loader.name)


def _key(loader: Loader, path: Path | None, on_bad_row: OnBadRow) -> str:
    how = [LAYOUT, loader.name, loader.version, vars(loader), *([on_bad_row] if on_bad_row != "stop" else [])]
    if not is_shipped(type(loader)):
        how.append(fingerprint(type(loader)))  # whoever writes a loader changes it, and forgets about its version
    digest = hashlib.sha256(json.dumps(how, sort_keys=True, default=str).encode())
    for file in loader.inputs(path) if path is not None else ():
        try:
            digest.update(file.name.encode() + bytes.fromhex(_content(file)))
        except OSError as error:
            raise FedctrError(f"{file}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()[:16]


def _content(file: Path) -> str:
    """SHA-256 of a file, remembered while its size and time of change stay the same: some have many gigabytes."""
    state = file.stat()
    known = cache_folder() / "digests" / hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:32]
    seen = f"{state.st_size} {state.st_mtime_ns} "
    with suppress(OSError, UnicodeDecodeError):
        if (text := known.read_text()).startswith(seen):
            return text.removeprefix(seen)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        fresh = known.with_suffix(f".{os.getpid()}")
        fresh.write_text(seen + digest)
        fresh.replace(known)
    return digest


def store(folder: Path, save: Callable[[Path], None]) -> None:
    """Put a folder into the cache, whole or not at all; of several processes that do it at once one is enough.

    Args:
        folder: named after its content, so that equal names hold equal content.
        save: writes the content into the folder that it is given.

    Raises:
        FedctrError: when the cache cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as scratch:
            # A folder within, because the scratch folder itself is closed to other users of a shared cache.
            whole = Path(scratch) / folder.name
            whole.mkdir()
            save(whole)
            try:
                whole.rename(folder)
            except OSError:
                # Another process was first; equal names hold equal content, so its copy serves.
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise FedctrError(f"{folder.parent}: {error}; set FEDCTR_CACHE to a folder that can be written") from error
