"""Data sets on disk: read once, then memory-mapped from a folder that is named after their content."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import platformdirs

from fedctr.data.dataset import LAYOUT, Dataset
from fedctr.data.loader import Loader, loaders
from fedctr.data.source import obtain
from fedctr.errors import FedctrError


def cache_folder() -> Path:
    """Where downloads and prepared data sets are kept: ``$FEDCTR_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("FEDCTR_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_cache_dir("fedctr"))


def open_dataset(spec: str, path: Path | None = None, on_bad_row: Literal["stop", "skip"] = "stop") -> Dataset:
    """A data set, memory-mapped; it is read from its files (or generated) the first time only.

    Args:
        spec: a loader's name with options, such as ``"movielens-100k"`` or ``"synthetic[users=1000]"``.
        path: the folder or archive with its files; None to use those of ``fedctr data get``, which are
            fetched now if need be.
        on_bad_row: what happens to malformed rows of the files.

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
    folder = cache_folder() / "datasets" / f"{loader.name}-{_key(loader, path)}"
    if not folder.is_dir():
        dataset = loader.read(path)
        dataset.check()
        store(folder, dataset.save)
    return Dataset.open(folder)


def files_of(loader: Loader) -> Path:
    """The files of a data set as ``fedctr data get`` stores them, fetched now if need be.

    Raises:
        FedctrError: when the loader has no source, or none answers.
    """
    if not loader.needs_files:
        raise FedctrError(f"data set {loader.name} is generated: there is nothing to fetch")
    if not loader.sources:
        raise FedctrError(f"data set {loader.name} cannot be fetched: give its files with --path")
    return obtain(loader.name, loader.sources, cache_folder() / "downloads" / loader.name)


def _key(loader: Loader, path: Path | None) -> str:
    digest = hashlib.sha256(
        json.dumps([LAYOUT, loader.name, loader.version, vars(loader)], sort_keys=True, default=str).encode()
    )
    for file in loader.inputs(path) if path is not None else ():
        try:
            with file.open("rb") as content:
                digest.update(file.name.encode() + hashlib.file_digest(content, "sha256").digest())
        except OSError as error:
            raise FedctrError(f"{file}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()[:16]


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
