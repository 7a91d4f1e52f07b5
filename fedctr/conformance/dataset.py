"""Whether a data set keeps its contract: the arrays that it gives, and how it meets faulty files."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fedctr.cloud import checked_global_ctr
from fedctr.conformance.finding import Finding, described, frozen, line, raised
from fedctr.data.cache import files_of
from fedctr.data.coding import LATEST
from fedctr.data.dataset import Dataset, Field, Ints, slices
from fedctr.data.loader import Loader, loaders
from fedctr.data.reading import Reading
from fedctr.data.split import split
from fedctr.errors import FedctrError

# The types of the arrays, and how many axes they have.
_ARRAYS = {"user_codes": (np.int32, 2), "item_codes": (np.int32, 2), "offsets": (np.int64, 1), "item": (np.int32, 1),
           "label": (np.uint8, 1), "time": (np.int64, 1)}  # fmt: skip
_NOISE = bytes(range(128, 256)) * 8 + b"\x00\n"


def check(spec: str, path: Path | None = None) -> Iterator[Finding]:
    """Hold a data set to its contract, rule by rule.

    Args:
        spec: the data set as people type it, such as ``my_module:MyLoader``.
        path: its files; None for a generator, or to fetch them.

    Yields:
        A finding for each rule. Where the data set cannot be read, the rules that need it are left out.

    Raises:
        FedctrError: for an unknown name or option, or files that are not to be had.
    """
    loader = loaders.create(spec)
    if path is not None and not loader.needs_files:
        raise FedctrError(f"data set {loader.name} is generated, not read; leave out --path")
    if path is None and loader.needs_files:
        path = files_of(loader)
    yield frozen(loader)
    yield described(type(loader), "is")
    found: list[Dataset] = []
    fault = raised(lambda: found.append(loader.read(path, Reading())))
    yield Finding("is read", fault)
    if fault:
        return
    (dataset,) = found
    if fault := _form(loader, dataset):
        yield Finding("has the arrays that a data set is made of", fault)
        return
    yield Finding("has the arrays that a data set is made of")
    yield from _content(dataset)
    yield Finding("is the same when it is read again", raised(lambda: _same(dataset, loader.read(path, Reading()))))
    yield Finding("comes back from the cache as it was", raised(lambda: _same(dataset, _stored(dataset))))
    yield Finding(
        "can be split by its own rule, and learnt from",
        raised(lambda: checked_global_ctr(dataset, split(dataset, loader.split))),
    )
    if path is not None:
        yield from _faulty_files(loader, path)


def _form(loader: Loader, dataset: object) -> str:
    """Why the rules on content cannot even be asked about."""
    if not isinstance(dataset, Dataset):
        return f"read returned {type(dataset).__name__}, expected a Dataset"
    if dataset.name != loader.name:
        return f"the data set is named {dataset.name!r}, expected {loader.name!r}"
    for name, (dtype, axes) in _ARRAYS.items():
        array = getattr(dataset, name)
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != axes:
            found = f"{array.dtype} of {array.ndim} axes" if isinstance(array, np.ndarray) else type(array).__name__
            return f"{name} is {found}, expected {np.dtype(dtype)} of {axes}"
    samples = len(dataset.item)
    for name, size in (("label", samples), ("time", samples), ("offsets", len(dataset.user_codes) + 1)):
        if len(getattr(dataset, name)) != size:
            return f"{name} has {len(getattr(dataset, name))} entries, expected {size}"
    for side, fields, codes, ids in _sides(dataset):
        if not isinstance(ids, pa.Array) or ids.type != pa.string() or len(ids) != len(codes):
            found = f"{len(ids)} of {ids.type}" if isinstance(ids, pa.Array) else type(ids).__name__
            return f"{side}_ids are {found}, expected an Arrow array of {len(codes)} strings"
        if not fields or codes.shape[1] != sum(field.values for field in fields):
            return f"{side}_codes have {codes.shape[1]} columns, expected those of {', '.join(f.name for f in fields)}"
    return ""


def _sides(dataset: Dataset) -> tuple[tuple[str, tuple[Field, ...], Ints, pa.Array], ...]:
    """Users and items alike: word, fields, codes and raw ids."""
    schema = dataset.schema
    return (
        ("user", schema.user_fields, dataset.user_codes, dataset.user_ids),
        ("item", schema.item_fields, dataset.item_codes, dataset.item_ids),
    )


def _content(dataset: Dataset) -> Iterator[Finding]:
    sides = _sides(dataset)
    yield Finding("gives each user and item an id of its own", _first(_ids(side, ids) for side, _, _, ids in sides))
    yield Finding(
        "numbers users and items from 1 in their first field",
        _first(_numbers(side, fields[0], codes) for side, fields, codes, _ in sides),
    )
    yield Finding(
        "keeps codes within their fields",
        _first(_range(field, codes[:, columns]) for _, fields, codes, _ in sides for field, columns in slices(fields)),
    )
    yield Finding("puts samples in the order of user, time and item", _order(dataset))
    wrong = np.flatnonzero((dataset.item < 0) | (dataset.item >= dataset.items))
    yield Finding("shows items that there are", _at(wrong, dataset.item, f"a row from 0 to {dataset.items - 1}"))
    wrong = np.flatnonzero(dataset.label > 1)
    one_class = raised(dataset.check)
    yield Finding("labels samples 0 or 1, and has both", _at(wrong, dataset.label, "0 or 1") or one_class)
    wrong = np.flatnonzero((dataset.time < 0) | (dataset.time > LATEST))
    yield Finding("gives times in seconds since 1970", _at(wrong, dataset.time, f"seconds from 0 to {LATEST}"))


def _first(faults: Iterator[str]) -> str:
    return next((fault for fault in faults if fault), "")


def _at(wrong: np.ndarray[tuple[int], np.dtype[np.intp]], values: np.ndarray[tuple[int], Any], expected: str) -> str:
    return f"sample {wrong[0]} has {values[wrong[0]]}, expected {expected}" if len(wrong) else ""


def _ids(side: str, ids: pa.Array) -> str:
    if ids.null_count:
        return f"{ids.null_count} ids of {side}s are missing"
    distinct = len(ids.unique())
    return "" if distinct == len(ids) else f"{len(ids)} {side}s have {distinct} ids"


def _numbers(side: str, field: Field, codes: Ints) -> str:
    count = len(codes)
    if field.cardinality != count + 1 or field.values != 1:
        return f"field {field.name} has cardinality {field.cardinality}, expected {count + 1} for {count} {side}s"
    wrong = np.flatnonzero(codes[:, 0] != np.arange(1, count + 1))
    return f"{side} {wrong[0]} has code {codes[wrong[0], 0]}, expected {wrong[0] + 1}" if len(wrong) else ""


def _range(field: Field, codes: Ints) -> str:
    wrong = codes[(codes < 0) | (codes >= field.cardinality)]
    return f"field {field.name} has code {wrong[0]}, expected 0 to {field.cardinality - 1}" if len(wrong) else ""


def _order(dataset: Dataset) -> str:
    offsets = dataset.offsets
    if offsets[0] != 0 or offsets[-1] != dataset.samples or (np.diff(offsets) < 0).any():
        return f"offsets must ascend from 0 to {dataset.samples}, one after each user's samples"
    user = np.repeat(np.arange(dataset.users), np.diff(offsets))
    same_user, time, item = user[1:] == user[:-1], np.diff(dataset.time), np.diff(dataset.item)
    wrong = np.flatnonzero(same_user & ((time < 0) | ((time == 0) & (item < 0))))
    return f"sample {wrong[0] + 1} stands before an earlier one of its user" if len(wrong) else ""


def _same(one: Dataset, other: Dataset) -> None:
    # Not by the hash: equal strings may be laid out otherwise in memory once they are stored.
    same = {name: np.array_equal(getattr(one, name), getattr(other, name)) for name in _ARRAYS}
    same |= {name: getattr(one, name).equals(getattr(other, name)) for name in ("user_ids", "item_ids")}
    if different := [name for name, equal in {"schema": one.schema == other.schema, **same}.items() if not equal]:
        raise ValueError(f"{different[0]}: another content")


def _stored(dataset: Dataset) -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        dataset.save(Path(folder))
        return Dataset.open(Path(folder))


def _faulty_files(loader: Loader, path: Path) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        yield Finding("refuses a folder without its files", _unrefused(loader, Path(folder)))
        yield Finding("refuses a path where nothing is", _unrefused(loader, Path(folder) / "nowhere"))
    inputs = loader.inputs(path)
    for what, content in (("empty", b""), ("noise", _NOISE)):
        for victim in inputs:
            with tempfile.TemporaryDirectory() as folder:
                damaged = _damaged(path, inputs, victim, content, Path(folder))
                yield Finding(f"refuses {victim.name} if it is {what}", _unrefused(loader, damaged))


def _damaged(path: Path, inputs: list[Path], victim: Path, content: bytes, folder: Path) -> Path:
    """The files once more, as links, with another content in one of them; returns their folder, or the one file."""
    top = path if path.is_dir() else path.parent
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else inputs
    for file in files:
        place = folder / file.relative_to(top)
        place.parent.mkdir(parents=True, exist_ok=True)
        if file == victim:
            place.write_bytes(content)
        else:
            place.symlink_to(file.absolute())
    return folder if path.is_dir() else folder / path.name


def _unrefused(loader: Loader, path: Path) -> str:
    """Why files that are not as they should be were not refused in one line."""
    try:
        loader.inputs(path)
        loader.read(path, Reading())
    except FedctrError as error:
        return f"the message has several lines: {line(error)}" if "\n" in str(error) else ""
    except (Exception, SystemExit) as error:
        return f"{line(error)}; raise a FedctrError that names the file and the remedy"
    return "they were read; raise a FedctrError, and let inputs name only the files that are read"
