"""MovieLens: films rated by users of the GroupLens recommender.

F. M. Harper and J. A. Konstan: The MovieLens Datasets: History and Context. ACM Transactions on Interactive
Intelligent Systems 5(4), 2015. The data may not be redistributed: this file fetches and reads them, and holds
none.

A member of the family is a small subclass that names its layouts; a layout says what its three files look
like and how genres and year are taken from the table of films.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data.bundle import Bundle
from fedctr.data.coding import Whole, codes, flag_codes, ids, refuse_repeated, rows_of
from fedctr.data.dataset import Dataset, Field, Ints, Schema
from fedctr.data.loader import Loader
from fedctr.data.reading import Reading
from fedctr.data.source import Source, Web, Wheel
from fedctr.data.table import Format, Table, blocks, read
from fedctr.errors import FedctrError

Flags = npt.NDArray[np.bool_]
_LATEST = 10**11  # seconds: the year 5138
_POSITIVE = 4.0
# The groups of MovieLens 1M begin at these ages: under 18, 18-24, 25-34, 35-44, 45-49, 50-55, 56 and over.
_AGES = (18, 25, 35, 45, 50, 56)
_GENRES = (
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
# A film marked so has no known genre: that is a missing value, not one more genre.
_NO_GENRE = "unknown"


def _flagged_genres(films: Table) -> tuple[list[str], Flags]:
    flags = [films.whole(genre, 0, 1).astype(bool) for genre in _GENRES]
    return list(_GENRES), np.column_stack(flags)


def _listed_genres(films: Table) -> tuple[list[str], Flags]:
    listed = pc.split_pattern(films.columns["genres"], " ")
    films_of = pc.list_parent_indices(listed).to_numpy()
    positions, names = codes(listed.flatten())
    flags = np.zeros((len(listed), len(names) + 1), dtype=bool)
    flags[films_of, positions] = True
    named = [name != _NO_GENRE for name in names]
    return [name for name in names if name != _NO_GENRE], flags[:, 1:][:, named]


def _title_year(films: Table) -> pa.StringArray:
    # Not the release date of u.item, which is that of the United States, for some films decades later, and
    # which the RecBole copy lacks.
    found = pc.extract_regex(films.columns["title"], r"^.*\((?P<year>[0-9]{4})\)")
    return pc.struct_field(found, "year")


def _listed_year(films: Table) -> pa.StringArray:
    # The copy took what the last parenthesis holds. One title ends in "(1995) (V)": its year is still in
    # there.
    listed = pc.extract_regex(films.columns["year"], r"^(?P<year>[0-9]{4})$")
    return pc.coalesce(pc.struct_field(listed, "year"), _title_year(films))


@dataclass(frozen=True)
class Layout:
    """One way in which the family is laid out in files.

    Attributes:
        ratings: has the columns user, item, rating and time.
        films: has the column item, and what ``genres`` and ``year`` need.
        users: has the columns user, age, gender and occupation.
        genres: the names of the genres, and which film has which, bool (films, genres).
        year: strings (films,), null where unknown.
    """

    ratings: Format
    films: Format
    users: Format
    genres: Callable[[Table], tuple[list[str], Flags]]
    year: Callable[[Table], pa.StringArray]

    @property
    def files(self) -> tuple[str, ...]:
        """The bare names of the three files."""
        return self.ratings.file, self.films.file, self.users.file


_OFFICIAL = Layout(
    ratings=Format("u.data", "\t", ("user", "item", "rating", "time")),
    films=Format(
        "u.item",
        "|",
        ("item", "title", "release date", "video release date", "address", _NO_GENRE, *_GENRES),
        encoding="latin-1",
    ),
    users=Format("u.user", "|", ("user", "age", "gender", "occupation", "zip code")),
    genres=_flagged_genres,
    year=_title_year,
)
_RECBOLE = Layout(
    ratings=Format(
        "ml-100k.inter",
        "\t",
        ("user", "item", "rating", "time"),
        header="user_id:token\titem_id:token\trating:float\ttimestamp:float",
    ),
    films=Format(
        "ml-100k.item",
        "\t",
        ("item", "title", "year", "genres"),
        header="item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
    ),
    users=Format(
        "ml-100k.user",
        "\t",
        ("user", "age", "gender", "occupation", "zip code"),
        header="user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
    ),
    genres=_listed_genres,
    year=_listed_year,
)


@dataclass(frozen=True)
class MovieLens(Loader):
    """The family: a rating of 4 or more is a positive, users and films stand in the order of their numbers.

    Attributes:
        layouts: the accepted layouts, the preferred first.
        scale: lowest and highest rating.
    """

    layouts: ClassVar[tuple[Layout, ...]]
    scale: ClassVar[tuple[float, float]]

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        """Read a folder or an archive.

        Raises:
            FedctrError: for a missing or truncated file, and for a malformed row unless these are skipped, with file,
                line, field and remedy.
        """
        assert path is not None, "only generators are read without a path"
        bundle, layout = self._find(path)
        users, films = read(bundle, layout.users, reading), read(bundle, layout.films, reading)
        user_ids, user_fields, user_codes = _user_codes(users)
        item_ids, item_fields, item_codes = _film_codes(layout, films)
        parts = []
        for ratings in blocks(bundle, layout.ratings, reading):
            user = rows_of(ratings, "user", user_ids, users.where)
            item = rows_of(ratings, "item", item_ids, films.where)
            positive = ratings.number("rating", *self.scale) >= _POSITIVE
            time = ratings.whole("time", 0, _LATEST)
            parts.append(ratings.kept(user, item, positive, time, ratings.lines))
        user, item, positive, time, lines = (np.concatenate(column) for column in zip(*parts, strict=True))
        every = Table(ratings.where, {}, lines, bundle.fallback, reading)
        refuse_repeated(every, user, item, time, (user_ids, item_ids))
        return Dataset.arranged(
            self.name,
            Schema(user_fields, item_fields),
            (pc.cast(pa.array(user_ids), pa.string()), pc.cast(pa.array(item_ids), pa.string())),
            (user_codes, item_codes),
            every.kept(user, item, positive, time),
        )

    def inputs(self, path: Path) -> list[Path]:
        """The archive, or the three files of the folder."""
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
    layouts: ClassVar[tuple[Layout, ...]] = (_OFFICIAL, _RECBOLE)
    scale: ClassVar[tuple[float, float]] = (1, 5)
    sources: ClassVar[tuple[Source, ...]] = (
        Web(
            file="ml-100k.zip",
            size=4_924_029,
            sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
            url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        ),
        # RecBole ships a copy of the three files as example data.
        Wheel(
            file="recbole-1.2.1-py3-none-any.whl",
            size=2_130_151,
            sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            requirement="recbole==1.2.1",
        ),
    )


def _user_codes(users: Table) -> tuple[Whole, tuple[Field, ...], Ints]:
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


def _film_codes(layout: Layout, films: Table) -> tuple[Whole, tuple[Field, ...], Ints]:
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
