from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from fedctr.conformance.dataset import check
from fedctr.data.dataset import Dataset, Field, Schema
from fedctr.data.loader import Loader
from fedctr.data.reading import Reading
from fedctr.errors import FedctrError
from tests.engine import world

WORLD = world([10, 12, 30])


def faults(spec: str, path: Path | None = None) -> dict[str, str]:
    return {finding.rule: finding.fault for finding in check(spec, path) if finding.fault}


def changed(name: str, place: int | tuple[int, ...], value: int) -> Callable[[], Dataset]:
    def change() -> Dataset:
        array = getattr(WORLD, name).copy()
        array[place] = value
        return replace(WORLD, **{name: array})

    return change


def swapped() -> Dataset:
    return replace(WORLD, time=WORLD.time[::-1].copy())


def unlike() -> Dataset:
    return replace(WORLD, time=WORLD.time + np.random.default_rng().integers(1 << 30))


def repeated() -> Dataset:
    return replace(WORLD, user_ids=pa.array(["u0", "u1", "u0"]))


def of_one_class() -> Dataset:
    return replace(WORLD, label=np.zeros_like(WORLD.label))


def resized() -> Dataset:
    fields = WORLD.schema.item_fields
    return replace(WORLD, schema=Schema(WORLD.schema.user_fields, (Field("item", 99), *fields[1:])))


def of_numbers() -> Dataset:
    return replace(WORLD, item_ids=pa.array(range(WORLD.items)))


def too_wide() -> Dataset:
    return replace(WORLD, label=WORLD.label.astype(np.int64))


def cut_short() -> Dataset:
    return replace(WORLD, time=WORLD.time[:-1])


def renamed() -> Dataset:
    return replace(WORLD, name="elsewhere")


MADE: dict[str, Callable[[], Any]] = {
    "": lambda: WORLD,
    "order": swapped,
    "chance": unlike,
    "ids": repeated,
    "class": of_one_class,
    "cardinality": resized,
    "label": changed("label", 7, 2),
    "item": changed("item", 3, 40),
    "code": changed("user_codes", (1, 1), 5),
    "number": changed("item_codes", (2, 0), 9),
    "offsets": changed("offsets", 1, 40),
    "milliseconds": changed("time", -1, 1_700_000_000_000),
    "strings": of_numbers,
    "type": too_wide,
    "length": cut_short,
    "name": renamed,
    "other": dict,
    "raises": lambda: 1 // 0,
}


@dataclass(frozen=True)
class Made(Loader):
    """A world with one fault or none."""

    name: ClassVar[str] = "world"
    needs_files: ClassVar[bool] = False

    fault: str = ""

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        found: Dataset = MADE[self.fault]()
        return found


ARRAYS = "has the arrays that a data set is made of"


@pytest.mark.parametrize(
    ("fault", "rule", "said"),
    [
        ("order", "puts samples in the order of user, time and item", "stands before an earlier one of its user"),
        ("offsets", "puts samples in the order of user, time and item", "offsets must ascend from 0 to 52"),
        ("chance", "is the same when it is read again", "ValueError: time: another content"),
        ("ids", "gives each user and item an id of its own", "3 users have 2 ids"),
        ("class", "labels samples 0 or 1, and has both", "all 52 labels are 0"),
        ("class", "can be split by its own rule, and learnt from", "training samples hold one class only"),
        ("label", "labels samples 0 or 1, and has both", "sample 7 has 2, expected 0 or 1"),
        ("item", "shows items that there are", "sample 3 has 40, expected a row from 0 to 39"),
        ("code", "keeps codes within their fields", "field group has code 5, expected 0 to 4"),
        ("number", "numbers users and items from 1 in their first field", "item 2 has code 9, expected 3"),
        (
            "cardinality",
            "numbers users and items from 1 in their first field",
            "field item has cardinality 99, expected 41 for 40 items",
        ),
        ("milliseconds", "gives times in seconds since 1970", "sample 51 has 1700000000000, expected seconds"),
        ("strings", ARRAYS, "item_ids are 40 of int64, expected an Arrow array of 40 strings"),
        ("type", ARRAYS, "label is int64 of 1 axes, expected uint8 of 1"),
        ("length", ARRAYS, "time has 51 entries, expected 52"),
        ("name", ARRAYS, "the data set is named 'elsewhere', expected 'world'"),
        ("other", ARRAYS, "read returned dict, expected a Dataset"),
        ("raises", "is read", "ZeroDivisionError"),
    ],
)
def test_a_planted_fault_is_found(fault: str, rule: str, said: str) -> None:
    assert said in faults(f"{__name__}:Made[fault={fault}]")[rule]


def test_a_world_without_a_fault_keeps_the_contract() -> None:
    assert faults(f"{__name__}:Made") == {}
    assert faults("synthetic[users=60]") == {}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A folder with an own log and what describes its columns."""
    (tmp_path / "log.csv").write_text("user,item,time,label\n" + "".join(f"u,i{n},{n},{n % 2}\n" for n in range(20)))
    (tmp_path / "fedctr.toml").write_text(
        'samples = "log.csv"\nuser = "user"\nitem = "item"\ntime = "time"\nlabel = "label"\n'
    )
    return tmp_path


def test_a_loader_of_the_shelf_meets_every_faulty_file(log: Path) -> None:
    rules = [finding.rule for finding in check("csv", log)]
    assert {"refuses log.csv if it is empty", "refuses fedctr.toml if it is noise"} < set(rules)
    assert faults("csv", log) == {}


class Careless(Loader):
    """Opens whatever there is."""

    name: ClassVar[str] = "world"

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        assert path is not None
        (path / "log.csv").read_text(encoding="utf-8")
        return WORLD


def test_what_is_wrong_with_a_file_must_be_said(log: Path) -> None:
    broken = faults(f"{__name__}:Careless", log)
    assert broken["is a frozen dataclass"] == "decorate the class with @dataclass(frozen=True)"
    assert broken["refuses a folder without its files"].startswith("FileNotFoundError")
    assert broken["refuses log.csv if it is noise"].startswith("UnicodeDecodeError")
    assert broken["refuses log.csv if it is empty"].startswith("they were read; raise a FedctrError")
    assert "refuses a path where nothing is" not in broken  # the contract's own inputs say so


def test_files_are_for_those_who_need_them(tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match="is generated, not read; leave out --path"):
        list(check(f"{__name__}:Made", tmp_path))
    with pytest.raises(FedctrError, match="get its files and give them with --path"):
        list(check(f"{__name__}:Careless"))
