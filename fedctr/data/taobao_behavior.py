"""Behaviour on Taobao: what users looked at, put into the cart, marked and bought."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data import negatives
from fedctr.data.bundle import Bundle
from fedctr.data.coding import MOST, Whole, whole_codes
from fedctr.data.dataset import Dataset, Field, Schema
from fedctr.data.loader import Loader
from fedctr.data.negatives import Rows
from fedctr.data.reading import Reading
from fedctr.data.split import Days, SplitRule
from fedctr.data.table import Format, Table, blocks
from fedctr.errors import FedctrError
from fedctr.randomness import Words, words

Sampling = Literal["uniform", "popularity"]
_BEHAVIOURS = pa.array(["pv", "buy", "cart", "fav"])
_COLUMNS = ("user", "item", "category", "behaviour", "time")
_FILE = "UserBehavior.csv"
# 25 November to 3 December 2017 in China (UTC+8), and as far as a damaged time may be off.
_FIRST, _END = 1_511_539_200, 1_512_316_800
_FARTHEST = 10**11


@dataclass(frozen=True)
class TaobaoBehavior(Loader):
    """100 million views, purchases and the like by a million users of Taobao in nine days of 2017.

    A view of an item's page is a click, so a positive, every time. Purchases, carts and favourites are none; but an
    item that a user has met in any way is never drawn as a negative of this user. The negatives of a click bear its
    time. They are drawn among the items that the chosen users have met.

    Some events bear times far outside of the nine days that the data set is said to cover. The official file has them,
    so they do not stop the load; they are left out and counted as bad rows. An item in several categories is taken to
    be in the one with the lowest number.

    Attributes:
        users: how many users with a click to take, those with the lowest hash of (seed, number); a million takes all.
        negatives: drawn for each click.
        sampling: ``uniform`` draws all items alike, ``popularity`` by their number of clicks.
        seed: of the choice of users, and of the negatives.
    """

    name: ClassVar[str] = "taobao-behavior"
    citation: ClassVar[str] = "Zhu et al., Learning Tree-based Deep Model for Recommender Systems, KDD 2018"
    split: ClassVar[SplitRule] = Days(hours_from_utc=8)
    home: ClassVar[str] = "https://tianchi.aliyun.com/dataset/649"

    users: int = 10_000
    negatives: int = 1
    sampling: Sampling = "uniform"
    seed: int = 0

    def __post_init__(self) -> None:
        for option, least, most in (("users", 1, MOST), ("negatives", 1, 100), ("seed", 0, 2**31 - 2)):
            value = getattr(self, option)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{option} is {value!r}; it must be a whole number from {least} to {most}")
        if self.sampling not in get_args(Sampling):
            raise ValueError(f"sampling is {self.sampling!r}; it must be {' or '.join(get_args(Sampling))}")

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        """Read ``UserBehavior.csv``, packed or not; only the rows of chosen users are kept on the way.

        Raises:
            FedctrError: for a missing or truncated file, for a malformed row unless these are skipped, with file, line,
                field and remedy, and when a user has met every item.
        """
        assert path is not None, "only generators are read without a path"
        bundle, form = self._find(path)
        chosen = _Chosen(self.users, self.seed)
        for table in blocks(bundle, form, reading):
            chosen.add(*_events(table, reading))
        return self._dataset(*chosen.events())

    def inputs(self, path: Path) -> list[Path]:
        """The one file."""
        bundle, form = self._find(path)
        return bundle.paths([form.file])

    def _find(self, path: Path) -> tuple[Bundle, Format]:
        bundle = Bundle(path, _FILE, f"download the data set again from {self.home}")
        if bundle.missing([_FILE]):
            raise FedctrError(f"{path}: it lacks {_FILE}; {bundle.remedy}")
        return bundle, Format(_FILE, ",", _COLUMNS)

    def _dataset(self, raw_user: Rows, raw_item: Rows, category: Rows, click: Rows, time: Rows) -> Dataset:
        user_ids, user = np.unique(raw_user, return_inverse=True)
        item_ids, item = np.unique(raw_item, return_inverse=True)
        lowest = np.full(len(item_ids), MOST, np.int64)
        np.minimum.at(lowest, item, category)
        codes, cardinality = whole_codes(lowest, -1)
        seen = (user, item)
        order = np.lexsort((item, time, user))
        order = order[click[order] == 1]
        user, item, time = user[order], item[order], time[order]
        ids = pc.cast(pa.array(user_ids), pa.string()), pc.cast(pa.array(item_ids), pa.string())
        drawn = negatives.sample(
            user, item, ids[0], len(item_ids), self.negatives, self.sampling == "popularity", self.seed, seen
        )
        return Dataset.arranged(
            self.name,
            Schema(
                (Field("user", len(user_ids) + 1),),
                (Field("item", len(item_ids) + 1), Field("category", cardinality)),
            ),
            ids,
            (
                np.arange(1, len(user_ids) + 1, dtype=np.int32)[:, None],
                np.column_stack([np.arange(1, len(item_ids) + 1), codes]).astype(np.int32),
            ),
            negatives.beside((user, item, time), drawn),
        )


class _Chosen:
    """The events of the users with the lowest hashes, while events stream by in any order.

    Of the hashes seen so far, the one that is the last to be chosen can only fall. So whoever is chosen in the end was
    never turned away, and nothing needs to be read twice.
    """

    def __init__(self, users: int, seed: int) -> None:
        self.users, self.seed = users, seed
        self._hashes = np.array([], np.uint64)  # of users with a click, ascending, the chosen ones
        self._parts: list[list[Rows]] = []

    def add(self, user: Whole, item: Whole, category: Whole, click: Whole, time: Whole) -> None:
        """Take in some more events; every array is (events,)."""
        hashes = self._hash(user)
        fresh = np.unique(hashes[(click == 1) & (hashes <= self._limit)])
        self._hashes = np.union1d(self._hashes, fresh)[: self.users]
        kept = hashes <= self._limit
        narrow = (user.astype(np.int32), item.astype(np.int32), category.astype(np.int32), click.astype(np.int8), time)
        self._parts.append([column[kept] for column in narrow])

    def events(self) -> list[Rows]:
        """User, item, category, click and time of all events of the chosen users."""
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        kept = np.isin(self._hash(columns[0]), self._hashes)
        return [column[kept] for column in columns]

    @property
    def _limit(self) -> np.uint64:
        return self._hashes[-1] if len(self._hashes) == self.users else np.uint64(2**64 - 1)

    def _hash(self, user: Rows) -> Words:
        return words(self.seed, "users", user.astype(np.int64), 1)[:, 0]


def _events(table: Table, reading: Reading) -> tuple[Whole, Whole, Whole, Whole, Whole]:
    user, item, category = (table.whole(name, 1, MOST) for name in ("user", "item", "category"))
    known = pc.is_in(table.columns["behaviour"], _BEHAVIOURS).to_numpy(zero_copy_only=False)
    table.require("behaviour", known, "pv, buy, cart or fav")
    click = pc.equal(table.columns["behaviour"], "pv").to_numpy(zero_copy_only=False).astype(np.int64)
    time = table.whole("time", -_FARTHEST, _FARTHEST)
    inside = (time >= _FIRST) & (time < _END)
    reading.bad_rows += int((table.good & ~inside).sum())
    kept = table.good & inside
    return user[kept], item[kept], category[kept], click[kept], time[kept]
