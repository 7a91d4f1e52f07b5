"""Amazon reviews: products reviewed by customers, in the editions of 2014, 2018 and 2023.

J. McAuley, C. Targett, Q. Shi and A. van den Hengel: Image-based Recommendations on Styles and Substitutes. SIGIR 2015.
J. Ni, J. Li and J. McAuley: Justifying Recommendations using Distantly-Labeled Reviews and Fine-Grained Aspects. EMNLP
2019. Y. Hou, J. Li, Z. He, A. Yan, X. Chen and J. McAuley: Bridging Language and Items for Retrieval and
Recommendation. arXiv 2403.03952.

Nobody knows what a customer saw and did not buy. By the usual protocol, that of DIN (arXiv 1706.06978), a review is a
positive and negatives are drawn from the products that the customer has not reviewed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data import lines, table
from fedctr.data.bundle import Bundle
from fedctr.data.coding import LATEST, Numbering, codes
from fedctr.data.dataset import Dataset, Field, Ints, Schema
from fedctr.data.loader import Loader
from fedctr.data.negatives import beside, sample
from fedctr.data.reading import Reading
from fedctr.data.table import Table
from fedctr.errors import FedctrError, shown

Whole = npt.NDArray[np.int64]
_BEST, _POSITIVE = 5.0, 4.0


@dataclass(frozen=True, eq=False)
class _Reviews:
    """The first review of every product by every customer, sorted by user and item.

    Attributes:
        user: int64 (reviews,), rows of ``user_ids``.
        item: int64 (reviews,), rows of ``item_ids``.
        rating: float64 (reviews,), 0 to 5.
        time: int64 (reviews,), seconds.
        user_ids: raw ids, strings in ascending order.
        item_ids: the same of the reviewed products.
    """

    user: Whole
    item: Whole
    rating: npt.NDArray[np.float64]
    time: Whole
    user_ids: pa.StringArray
    item_ids: pa.StringArray


@dataclass(frozen=True)
class Amazon(Loader):
    """The family: one category of products, users and items in the order of their raw ids.

    Of several reviews of one product by one customer the earliest counts (of several at one time the one of the lowest
    rating): that is no malformed row, since customers do come back, and the later editions hold copies. The category of
    a product is the last name of its last path, as in DIN. A product that the meta file does not describe has code 0 in
    every field but its id; without a meta file the id is the only field.

    Attributes:
        patterns: of the names of files with reviews, the preferred first.
        wanted: the preferred such name, for errors.
        columns: user, item, rating and time as the files call them.
        ticks: units of the files' time in a second.
        meta: name of the file that describes the products, ``{}`` standing for the category.
        path: its key for the path (or paths) of categories.
        traits: its other keys that become fields.
        literal: whether lines may be Python literals.
        category: the category, such as ``Electronics``; may be left out where there is one only.
        positives: ``reviews``: a review is a positive, whatever its rating, and negatives are drawn, which leaves
            hardly any drift; ``ratings``: a rating of 4 or more is a positive, any other a negative, nothing is drawn.
        negatives: how many are drawn for each positive, at the time of that positive. Each is drawn by itself from the
            items that the user has not reviewed anywhere, so one may come up again.
        sampling: ``uniform``: all those items are as likely; ``popularity``: as the number of their reviews.
        seed: another seed draws other negatives. A user's do not depend on the other users as long as the items (and
            by popularity, the numbers of their reviews) stay the same.
    """

    patterns: ClassVar[tuple[str, ...]]
    wanted: ClassVar[str]
    columns: ClassVar[tuple[str, str, str, str]]
    ticks: ClassVar[int] = 1
    meta: ClassVar[str] = "meta_{}.json"
    path: ClassVar[str]
    traits: ClassVar[tuple[str, ...]] = ("brand",)
    literal: ClassVar[bool] = False

    category: str = ""
    positives: str = "reviews"
    negatives: int = 1
    sampling: str = "uniform"
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.category, str):
            raise ValueError(f"category is {self.category!r}; it must be a name such as Electronics")
        for option, choice in (("positives", ("reviews", "ratings")), ("sampling", ("uniform", "popularity"))):
            if getattr(self, option) not in choice:
                raise ValueError(f"{option} is {getattr(self, option)!r}; it must be {' or '.join(choice)}")
        for option, least, most in (("negatives", 1, 1000), ("seed", 0, 2**31 - 2)):
            value = getattr(self, option)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{option} is {value!r}; it must be a whole number from {least} to {most}")
        if self.positives == "ratings" and (self.negatives, self.sampling, self.seed) != (1, "uniform", 0):
            raise ValueError("with positives=ratings nothing is drawn; leave out negatives, sampling and seed")

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        """Read a folder, an archive or a single file of reviews.

        Raises:
            FedctrError: for a missing or truncated file, for a malformed row unless these are skipped, with file, line,
                field and remedy, and for a user who leaves nothing to draw.
        """
        assert path is not None, "only generators are read without a path"
        bundle, category, file = self._find(path)
        reviews = self._reviews(bundle, file, reading)
        fields, item_codes = self._item_codes(bundle, category, reviews.item_ids, reading)
        users = len(reviews.user_ids)
        return Dataset.arranged(
            self.name,
            Schema((Field("user", users + 1),), fields),
            (reviews.user_ids, reviews.item_ids),
            (np.arange(1, users + 1, dtype=np.int32)[:, None], item_codes),
            self._samples(reviews),
        )

    def inputs(self, path: Path) -> list[Path]:
        """The archive, or the file of reviews and the one that describes the products, if there is one."""
        bundle, category, file = self._find(path)
        return bundle.paths([file, *self._described(bundle, category)])

    def _find(self, path: Path) -> tuple[Bundle, str, str]:
        """The files, the category, and the name of its file of reviews."""
        wanted = " and ".join((self.wanted, f"{self.meta}.gz")).format(*2 * [self.category or "CATEGORY"])
        bundle = Bundle(path, wanted, f"get the files from {self.home}")
        found: dict[str, str] = {}
        for pattern in self.patterns:
            for file in bundle.files:
                if match := re.fullmatch(pattern, file):
                    found.setdefault(match["category"], file)
        if not found:
            there = f", only {shown(', '.join(bundle.files))}" if bundle.files else ""
            raise FedctrError(f"{path}: it holds no file with reviews{there}; {bundle.remedy}")
        names = ", ".join(sorted(found))
        if self.category and self.category not in found:
            raise FedctrError(f"{path}: no reviews of category {self.category}, only of {names}; {bundle.remedy}")
        if not self.category and len(found) > 1:
            example = f"{self.name}[category={min(found)}]"
            raise FedctrError(f"{path}: it holds reviews of several categories ({names}); name one, as in {example}")
        category = self.category or next(iter(found))
        return bundle, category, found[category]

    def _described(self, bundle: Bundle, category: str) -> list[str]:
        file = self.meta.format(category)
        return [] if bundle.missing([file]) else [file]

    def _reviews(self, bundle: Bundle, file: str, reading: Reading) -> _Reviews:
        users, items = Numbering(), Numbering()
        parts = []
        for block in self._blocks(bundle, file, reading):
            user, item, rating, time = self.columns
            ratings = block.number(rating, 0, _BEST)
            times = block.whole(time, 0, LATEST * self.ticks) // self.ticks
            for name in (user, item):
                filled = pc.not_equal(block.columns[name], "").to_numpy(zero_copy_only=False)
                block.require(name, filled, "an id")
            # Ids of bad rows must not become users and items.
            good = pa.array(block.good)
            numbers = [
                numbering.number(block.columns[name].filter(good)) for numbering, name in ((users, user), (items, item))
            ]
            parts.append((*numbers, *block.kept(ratings, times)))
        user_of, item_of, every_rating, every_time = (np.concatenate(column) for column in zip(*parts, strict=True))
        user_ids, user_places = users.sorted()
        item_ids, item_places = items.sorted()
        user_of, item_of = user_places[user_of], item_places[item_of]
        order = np.lexsort((every_rating, every_time, item_of, user_of))
        user_of, item_of = user_of[order], item_of[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = (user_of[1:] != user_of[:-1]) | (item_of[1:] != item_of[:-1])
        if repeated := len(order) - int(first.sum()):
            reading.reporter.say(f"{self.name}: left out {repeated:,} later reviews of a product by the same customer")
        kept = order[first]
        return _Reviews(user_of[first], item_of[first], every_rating[kept], every_time[kept], user_ids, item_ids)

    def _blocks(self, bundle: Bundle, file: str, reading: Reading) -> Iterator[Table]:
        if file.endswith(".csv"):
            return table.blocks(bundle, table.Format(file, ",", self.columns, header=",".join(self.columns)), reading)
        kinds: tuple[lines.Kind, ...] = ("text", "text", "number", "whole")
        needed = dict(zip(self.columns, kinds, strict=True))
        return lines.blocks(bundle, lines.Format(file, needed, literal=self.literal), reading)

    def _item_codes(
        self, bundle: Bundle, category: str, item_ids: pa.StringArray, reading: Reading
    ) -> tuple[tuple[Field, ...], Ints]:
        fields, columns = [Field("item", len(item_ids) + 1)], [np.arange(1, len(item_ids) + 1)]
        described = self._described(bundle, category)
        if not described:
            reading.reporter.say(f"{self.name}: no {self.meta.format(category)}, so items have no category")
        for file in described:
            for name, values in self._described_values(bundle, file, item_ids, reading).items():
                column, names = codes(values)
                fields.append(Field(name, len(names) + 1))
                columns.append(column)
        return tuple(fields), np.column_stack(columns).astype(np.int32)

    def _described_values(
        self, bundle: Bundle, file: str, item_ids: pa.StringArray, reading: Reading
    ) -> dict[str, pa.StringArray]:
        """Category and traits of the items, null where unknown, strings (items,)."""
        item = self.columns[1]
        names = {self.path: "category"} | {trait: trait for trait in self.traits}
        optional: dict[str, lines.Kind] = dict.fromkeys(self.traits, "text")
        optional[self.path] = "path"
        rows: list[npt.NDArray[np.integer]] = []
        values: dict[str, list[pa.StringArray]] = {key: [] for key in names}
        for block in lines.blocks(bundle, lines.Format(file, {item: "text"}, optional, self.literal), reading):
            row = pc.fill_null(pc.index_in(block.columns[item], value_set=item_ids), -1).to_numpy()
            wanted = block.good & (row >= 0)
            rows.append(row[wanted])
            for key in names:
                values[key].append(block.columns[key].filter(pa.array(wanted)))
        # Some products are described several times: the first one counts.
        known, first = np.unique(np.concatenate(rows), return_index=True)
        place = np.full(len(item_ids), -1)
        place[known] = first
        taken = pa.array(place, mask=place < 0)
        return {name: pa.concat_arrays(values[key]).take(taken) for key, name in names.items()}

    def _samples(self, reviews: _Reviews) -> tuple[npt.NDArray[np.generic], ...]:
        """User, item, label and time."""
        if self.positives == "ratings":
            return reviews.user, reviews.item, reviews.rating >= _POSITIVE, reviews.time
        items, popularity = len(reviews.item_ids), self.sampling == "popularity"
        drawn = sample(reviews.user, reviews.item, reviews.user_ids, items, self.negatives, popularity, self.seed)
        return beside((reviews.user, reviews.item, reviews.time), drawn)


@dataclass(frozen=True)
class Amazon2014(Amazon):
    """Reviews from 1996 to 2014; the 5-core of Electronics has 192,403 users, 63,001 items and 1,689,188 reviews."""

    name: ClassVar[str] = "amazon-2014"
    citation: ClassVar[str] = "McAuley et al., Image-based Recommendations on Styles and Substitutes, SIGIR 2015"
    home: ClassVar[str] = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html"
    patterns: ClassVar[tuple[str, ...]] = (
        r"reviews_(?P<category>\w+)_5\.json",
        r"reviews_(?P<category>\w+)(?<!_5)\.json",
    )
    wanted: ClassVar[str] = "reviews_{}_5.json.gz"
    columns: ClassVar[tuple[str, str, str, str]] = ("reviewerID", "asin", "overall", "unixReviewTime")
    path: ClassVar[str] = "categories"
    literal: ClassVar[bool] = True


@dataclass(frozen=True)
class Amazon2018(Amazon):
    """Reviews from 1996 to 2018."""

    name: ClassVar[str] = "amazon-2018"
    citation: ClassVar[str] = "Ni, Li and McAuley, Justifying Recommendations, EMNLP 2019"
    home: ClassVar[str] = "https://nijianmo.github.io/amazon/"
    patterns: ClassVar[tuple[str, ...]] = (
        r"(?!meta_|reviews_)(?P<category>\w+)_5\.json",
        r"(?!meta_|reviews_)(?P<category>\w+)(?<!_5)\.json",
    )
    wanted: ClassVar[str] = "{}_5.json.gz"
    columns: ClassVar[tuple[str, str, str, str]] = ("reviewerID", "asin", "overall", "unixReviewTime")
    path: ClassVar[str] = "category"


@dataclass(frozen=True)
class Amazon2023(Amazon):
    """Reviews from 1996 to 2023: whole as ``.jsonl``, or ratings only as ``.csv``, of which the latter is preferred."""

    name: ClassVar[str] = "amazon-2023"
    citation: ClassVar[str] = (
        "Hou et al., Bridging Language and Items for Retrieval and Recommendation, arXiv 2403.03952"
    )
    home: ClassVar[str] = "https://amazon-reviews-2023.github.io/"
    patterns: ClassVar[tuple[str, ...]] = (r"(?P<category>\w+)\.csv", r"(?!meta_)(?P<category>\w+)\.jsonl")
    wanted: ClassVar[str] = "{}.csv.gz"
    columns: ClassVar[tuple[str, str, str, str]] = ("user_id", "parent_asin", "rating", "timestamp")
    ticks: ClassVar[int] = 1000
    meta: ClassVar[str] = "meta_{}.jsonl"
    path: ClassVar[str] = "categories"
    traits: ClassVar[tuple[str, ...]] = ("main_category", "store")
