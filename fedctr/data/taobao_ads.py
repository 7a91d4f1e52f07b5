"""Display ads of Taobao: impressions with clicks and non-clicks, as Alimama published them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data.bundle import Bundle
from fedctr.data.coding import LATEST, MOST, Positions, Whole, ids, quantile_codes, rows_of, whole_codes
from fedctr.data.dataset import Dataset, Field, Ints, Schema
from fedctr.data.loader import Loader
from fedctr.data.reading import Reading
from fedctr.data.split import Days, SplitRule
from fedctr.data.table import Format, Table, blocks, read
from fedctr.errors import FedctrError

_DEAREST = 999_999_999
_PRICES = 10  # price buckets
_NULL = ("", "NULL")
_AD_FEATURES = ("cate_id", "campaign_id", "customer", "brand")
_USER_FEATURES = (
    *("cms_segid", "cms_group_id", "final_gender_code", "age_level"),
    *("pvalue_level", "shopping_level", "occupation", "new_user_class_level"),
)


def _format(file: str, *columns: str) -> Format:
    return Format(file, ",", columns, header=",".join(columns))


_SAMPLES = _format("raw_sample.csv", "user", "time_stamp", "adgroup_id", "pid", "nonclk", "clk")
_ADS = _format("ad_feature.csv", "adgroup_id", *_AD_FEATURES, "price")
_PROFILES = _format("user_profile.csv", "userid", *_USER_FEATURES)
_FILES = (_SAMPLES.file, _ADS.file, _PROFILES.file)


@dataclass(frozen=True)
class TaobaoAds(Loader):
    """26.6 million ad impressions on 1.14 million users of Taobao in eight days of May 2017, with true non-clicks.

    Users and ads stand in the order of their numbers; there are those that occur in ``raw_sample.csv``. Every
    impression counts, the same ad on the same user at the same time too. An ad must be described in
    ``ad_feature.csv``, which covers all of them; its brand may be missing, and its price falls into one of ten buckets
    of about as many ads each. A user need not be described in ``user_profile.csv``, which lacks one in fourteen: all
    its features are missing then. Where an ad stood on the page (``pid``) belongs to neither, so it is left out.
    """

    name: ClassVar[str] = "taobao-ads"
    split: ClassVar[SplitRule] = Days(hours_from_utc=8)
    home: ClassVar[str] = "https://tianchi.aliyun.com/dataset/56"

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        """Read ``raw_sample.csv``, ``ad_feature.csv`` and ``user_profile.csv``, packed or not.

        Raises:
            FedctrError: for a missing or truncated file, and for a malformed row unless these are skipped, with file,
                line, field and remedy.
        """
        assert path is not None, "only generators are read without a path"
        bundle = self._find(path)
        ads, profiles = _Ads(read(bundle, _ADS, reading)), _Profiles(read(bundle, _PROFILES, reading))
        parts = [_samples(table, ads) for table in blocks(bundle, _SAMPLES, reading)]
        raw_user, ad, click, time = (np.concatenate(column) for column in zip(*parts, strict=True))
        del parts
        user_ids = np.unique(raw_user)
        user = np.searchsorted(user_ids, raw_user).astype(np.int32)
        del raw_user
        shown = np.bincount(ad, minlength=len(ads.ids)) > 0
        item = (np.cumsum(shown) - 1).astype(np.int32)[ad]
        user_fields, user_codes = profiles.codes(user_ids)
        item_fields, item_codes = ads.codes(shown)
        return Dataset.arranged(
            self.name,
            Schema(user_fields, item_fields),
            (_texts(user_ids), _texts(ads.ids[shown])),
            (user_codes, item_codes),
            (user, item, click, time),
        )

    def inputs(self, path: Path) -> list[Path]:
        """The archive, or the three files of the folder."""
        return self._find(path).paths(_FILES)

    def _find(self, path: Path) -> Bundle:
        bundle = Bundle(path, ", ".join(_FILES), f"download the data set again from {self.home}")
        if missing := bundle.missing(_FILES):
            raise FedctrError(f"{path}: it lacks {', '.join(missing)}; {bundle.remedy}")
        return bundle


class _Ads:
    """What ``ad_feature.csv`` says, in the order of the ads' numbers."""

    def __init__(self, table: Table) -> None:
        features = [table.whole(name, 0, MOST, _NULL) for name in _AD_FEATURES]
        prices = table.number("price", 0, _DEAREST, _NULL)
        self.where = table.where
        self.ids, rows = ids(table, "adgroup_id")
        self.features, self.prices = [feature[rows] for feature in features], prices[rows]

    def codes(self, shown: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[tuple[Field, ...], Ints]:
        """Fields and codes of the ads that were shown, which is bool (ads,)."""
        coded = [(name, *whole_codes(values[shown], -1)) for name, values in self._named()]
        return _fields("item", [*coded, ("price", *quantile_codes(self.prices[shown], _PRICES))])

    def _named(self) -> list[tuple[str, Whole]]:
        return list(zip(_AD_FEATURES, self.features, strict=True))


class _Profiles:
    """What ``user_profile.csv`` says, in the order of the users' numbers."""

    def __init__(self, table: Table) -> None:
        features = [table.whole(name, 0, MOST, _NULL) for name in _USER_FEATURES]
        self.ids, rows = ids(table, "userid")
        self.features = [feature[rows] for feature in features]

    def codes(self, users: Whole) -> tuple[tuple[Field, ...], Ints]:
        """Fields and codes of the users with these numbers."""
        rows = np.searchsorted(self.ids, users)
        described = np.append(self.ids, 0)[rows] == users
        coded = []
        for name, values in zip(_USER_FEATURES, self.features, strict=True):
            coded.append((name, *whole_codes(np.where(described, np.append(values, -1)[rows], -1), -1)))
        return _fields("user", coded)


def _samples(table: Table, ads: _Ads) -> list[np.ndarray[tuple[int], np.dtype[np.generic]]]:
    user = table.whole("user", 1, MOST)
    ad = rows_of(table, "adgroup_id", ads.ids, ads.where)
    time = table.whole("time_stamp", 0, LATEST)
    click, no_click = table.whole("clk", 0, 1), table.whole("nonclk", 0, 1)
    table.require("nonclk", no_click == 1 - click, "1 where clk is 0, and 0 where it is 1")
    # Three bytes in four are saved before the blocks are joined, for there are millions of rows.
    return table.kept(user.astype(np.int32), ad.astype(np.int32), click.astype(np.uint8), time)


def _fields(identity: str, coded: list[tuple[str, Positions, int]]) -> tuple[tuple[Field, ...], Ints]:
    rows = len(coded[0][1])
    fields = (Field(identity, rows + 1), *(Field(name, cardinality) for name, _, cardinality in coded))
    columns = (np.arange(1, rows + 1), *(codes for _, codes, _ in coded))
    return fields, np.column_stack(columns).astype(np.int32)


def _texts(numbers: Whole) -> pa.StringArray:
    return pc.cast(pa.array(numbers), pa.string())
