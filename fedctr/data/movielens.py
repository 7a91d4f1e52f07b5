"""MovieLens: films rated by users of the GroupLens recommender.

F. M. Harper and J. A. Konstan: The MovieLens Datasets: History and Context. ACM Transactions on Interactive
Intelligent Systems 5(4), 2015. The data may not be redistributed: this file fetches and reads them, and holds
none.

A member of the family is a small subclass that names its layouts, its scale and where it can be had.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data.bundle import Bundle
from fedctr.data.coding import LATEST, MOST, Whole, codes, flag_codes, ids, refuse_repeated, rows_of
from fedctr.data.dataset import Dataset, Field, Ints, Schema
from fedctr.data.loader import Loader
from fedctr.data.movielens_layouts import OF_1M, OF_20M, OF_100K, OF_RECBOLE, Layout
from fedctr.data.reading import Reading
from fedctr.data.source import Source, Web, Wheel
from fedctr.data.table import Table, blocks, read
from fedctr.errors import FedctrError

Described = tuple[Whole, tuple[Field, ...], Ints]  # ids in ascending order, and the codes of each
_POSITIVE = 4.0
# The groups of MovieLens 1M begin at these ages: under 18, 18-24, 25-34, 35-44, 45-49, 50-55, 56 and over.
_AGES = (18, 25, 35, 45, 50, 56)


def _archive(name: str, size: int, sha256: str) -> Web:
    return Web(f"{name}.zip", size, sha256, f"https://files.grouplens.org/datasets/movielens/{name}.zip")


@dataclass(frozen=True)
class MovieLens(Loader):
    """The family: a rating of 4 or more is a positive, users and films stand in the order of their numbers.

    Attributes:
        layouts: the accepted layouts, the preferred first.
        scale: lowest and highest rating.
    """

    layouts: ClassVar[tuple[Layout, ...]]
    scale: ClassVar[tuple[float, float]]
    citation: ClassVar[str] = "Harper and Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015"
    home: ClassVar[str] = "https://grouplens.org/datasets/movielens/"

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        """Read a folder or an archive.

        Where the files describe no users, these are the users who rated something.

        Raises:
            FedctrError: for a missing or truncated file, and for a malformed row unless these are skipped, with file,
                line, field and remedy.
        """
        assert path is not None, "only generators are read without a path"
        bundle, layout = self._find(path)
        users = _user_codes(read(bundle, layout.users, reading)) if layout.users else None
        item_ids, item_fields, item_codes = _film_codes(layout, read(bundle, layout.films, reading))
        known = (users[0] if users else None, item_ids)
        user, item, positive, time, lines = self._ratings(bundle, layout, known, reading)
        if not users:
            users = _bare_user_codes(np.unique(user))
            user = np.searchsorted(users[0], user).astype(np.int32)
        user_ids, user_fields, user_codes = users
        every = Table(bundle.where(layout.ratings.file), {}, lines, bundle.fallback, reading)
        refuse_repeated(every, user, item, time, (user_ids, item_ids))
        return Dataset.arranged(
            self.name,
            Schema(user_fields, item_fields),
            (pc.cast(pa.array(user_ids), pa.string()), pc.cast(pa.array(item_ids), pa.string())),
            (user_codes, item_codes),
            every.kept(user, item, positive, time),
        )

    def _ratings(
        self, bundle: Bundle, layout: Layout, known: tuple[Whole | None, Whole], reading: Reading
    ) -> Iterator[npt.NDArray[Any]]:
        """Users (rows, or ids if none are known), films (rows), labels, times and lines of all good ratings."""
        user_ids, item_ids = known
        parts = []
        for ratings in blocks(bundle, layout.ratings, reading):
            if layout.users and user_ids is not None:
                user = rows_of(ratings, "user", user_ids, bundle.where(layout.users.file))
            else:
                user = ratings.whole("user", 1, MOST).astype(np.int32)
            item = rows_of(ratings, "item", item_ids, bundle.where(layout.films.file))
            positive = ratings.number("rating", *self.scale) >= _POSITIVE
            time = ratings.whole("time", 0, LATEST)
            parts.append(ratings.kept(user, item, positive, time, ratings.lines))
        return (np.concatenate(column) for column in zip(*parts, strict=True))

    def inputs(self, path: Path) -> list[Path]:
        """The archive, or the files of the folder that are read."""
        bundle, layout = self._find(path)
        return bundle.paths(layout.files)

    def _find(self, path: Path) -> tuple[Bundle, Layout]:
        wanted = ", or with ".join(", ".join(layout.files) for layout in self.layouts)
        bundle = Bundle(path, wanted, f"run 'fedctr data get {self.name}' and leave out --path")
        missing = {layout: bundle.missing(layout.files) for layout in self.layouts}
        nearest = min(self.layouts, key=lambda layout: len(missing[layout]))
        if missing[nearest]:
            raise FedctrError(f"{path}: it lacks {', '.join(missing[nearest])}; {bundle.remedy}")
        return bundle, nearest


@dataclass(frozen=True)
class MovieLens100K(MovieLens):
    """100,000 ratings of 1,682 films by 943 users, 1997 to 1998."""

    name: ClassVar[str] = "movielens-100k"
    layouts: ClassVar[tuple[Layout, ...]] = (OF_100K, OF_RECBOLE)
    scale: ClassVar[tuple[float, float]] = (1, 5)
    sources: ClassVar[tuple[Source, ...]] = (
        _archive("ml-100k", 4_924_029, "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
        # RecBole ships a copy of the three files as example data.
        Wheel(
            file="recbole-1.2.1-py3-none-any.whl",
            size=2_130_151,
            sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            requirement="recbole==1.2.1",
        ),
    )


@dataclass(frozen=True)
class MovieLens1M(MovieLens):
    """1,000,209 ratings of 3,883 films by 6,040 users, 2000 to 2003."""

    name: ClassVar[str] = "movielens-1m"
    layouts: ClassVar[tuple[Layout, ...]] = (OF_1M,)
    scale: ClassVar[tuple[float, float]] = (1, 5)
    sources: ClassVar[tuple[Source, ...]] = (
        _archive("ml-1m", 5_917_549, "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
    )


@dataclass(frozen=True)
class _HalfStars(MovieLens):
    """The members that came later: half stars, and nothing is known of the users."""

    layouts: ClassVar[tuple[Layout, ...]] = (OF_20M,)
    scale: ClassVar[tuple[float, float]] = (0.5, 5)


@dataclass(frozen=True)
class MovieLens20M(_HalfStars):
    """20,000,263 ratings of 27,278 films by 138,493 users, 1995 to 2015."""

    name: ClassVar[str] = "movielens-20m"
    sources: ClassVar[tuple[Source, ...]] = (
        _archive("ml-20m", 198_702_078, "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3"),
    )


@dataclass(frozen=True)
class MovieLens25M(_HalfStars):
    """25,000,095 ratings of 62,423 films by 162,541 users, 1995 to 2019."""

    name: ClassVar[str] = "movielens-25m"
    sources: ClassVar[tuple[Source, ...]] = (
        _archive("ml-25m", 261_978_986, "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa"),
    )


@dataclass(frozen=True)
class MovieLens32M(_HalfStars):
    """32,000,204 ratings of 87,585 films by 200,948 users, 1995 to 2023."""

    name: ClassVar[str] = "movielens-32m"
    sources: ClassVar[tuple[Source, ...]] = (
        _archive("ml-32m", 238_950_008, "e4a68655d7386b8f95f2f2424b2ff975dfdd15ffd59e0d864a14dca43e99d6ee"),
    )


@dataclass(frozen=True)
class MovieLensLatestSmall(_HalfStars):
    """100,836 ratings of 9,742 films by 610 users, 1996 to 2018."""

    name: ClassVar[str] = "movielens-latest-small"
    sources: ClassVar[tuple[Source, ...]] = (
        _archive("ml-latest-small", 978_202, "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436"),
    )


def _user_codes(users: Table) -> Described:
    age = np.searchsorted(_AGES, users.whole("age", 1, 120), side="right") + 1
    user_ids, rows = ids(users, "user")
    gender, genders = codes(users.columns["gender"])
    occupation, occupations = codes(users.columns["occupation"])
    columns = (np.arange(1, len(rows) + 1), age[rows], gender[rows], occupation[rows])
    fields = (
        Field("user", len(rows) + 1),
        Field("age", len(_AGES) + 2),
        Field("gender", len(genders) + 1),
        Field("occupation", len(occupations) + 1),
    )
    return user_ids, fields, np.column_stack(columns).astype(np.int32)


def _bare_user_codes(user_ids: Whole) -> Described:
    return user_ids, (Field("user", len(user_ids) + 1),), np.arange(1, len(user_ids) + 1, dtype=np.int32)[:, None]


def _film_codes(layout: Layout, films: Table) -> Described:
    genres, names = flag_codes(*layout.genres(films))
    year, years = codes(layout.year(films))
    item_ids, rows = ids(films, "item")
    columns = (np.arange(1, len(rows) + 1), genres[rows], year[rows])
    fields = (
        Field("item", len(rows) + 1),
        Field("genres", len(names) + 1, values=genres.shape[1]),
        Field("year", len(years) + 1),
    )
    return item_ids, fields, np.column_stack(columns).astype(np.int32)
