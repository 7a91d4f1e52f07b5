"""How the members of the MovieLens family are laid out in files.

The formats are those of the README in each official archive.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data.coding import codes
from fedctr.data.table import Format, Table

Flags = npt.NDArray[np.bool_]
Genres = tuple[list[str], Flags]
_GENRES = (
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
# A film marked so has no known genre: that is a missing value, not one more genre.
_UNKNOWN, _NONE_LISTED = "unknown", "(no genres listed)"


@dataclass(frozen=True)
class Layout:
    """One way in which the family is laid out in files.

    Attributes:
        ratings: has the columns user, item, rating and time.
        films: has the column item, and what ``genres`` and ``year`` need.
        users: has the columns user, age, gender and occupation; None where nothing is known of users.
        genres: the names of the genres, and which film has which, bool (films, genres).
        year: strings (films,), null where unknown.
    """

    ratings: Format
    films: Format
    users: Format | None
    genres: Callable[[Table], Genres]
    year: Callable[[Table], pa.StringArray]

    @property
    def files(self) -> tuple[str, ...]:
        """The bare names of the files."""
        return tuple(form.file for form in (self.ratings, self.films, self.users) if form)


def _flagged_genres(films: Table) -> Genres:
    flags = [films.whole(genre, 0, 1).astype(bool) for genre in _GENRES]
    return list(_GENRES), np.column_stack(flags)


def _listed_genres(separator: str) -> Callable[[Table], Genres]:
    def genres(films: Table) -> Genres:
        listed = pc.split_pattern(films.columns["genres"], separator)
        films_of = pc.list_parent_indices(listed).to_numpy()
        positions, names = codes(listed.flatten())
        flags = np.zeros((len(listed), len(names) + 1), dtype=bool)
        flags[films_of, positions] = True
        named = [name not in (_UNKNOWN, _NONE_LISTED) for name in names]
        return [name for name, known in zip(names, named, strict=True) if known], flags[:, 1:][:, named]

    return genres


def _title_year(films: Table) -> pa.StringArray:
    # Not the release date of u.item, which is that of the United States, for some films decades later, and
    # which the other layouts lack.
    found = pc.extract_regex(films.columns["title"], r"^.*\((?P<year>[0-9]{4})\)")
    return pc.struct_field(found, "year")


def _listed_year(films: Table) -> pa.StringArray:
    # The copy took what the last parenthesis holds. One title ends in "(1995) (V)": its year is still in
    # there.
    listed = pc.extract_regex(films.columns["year"], r"^(?P<year>[0-9]{4})$")
    return pc.coalesce(pc.struct_field(listed, "year"), _title_year(films))


_RATING = ("user", "item", "rating", "time")
_FILM = ("item", "title", "genres")

OF_100K = Layout(
    ratings=Format("u.data", "\t", _RATING),
    films=Format(
        "u.item",
        "|",
        ("item", "title", "release date", "video release date", "address", _UNKNOWN, *_GENRES),
        encoding="latin-1",
    ),
    users=Format("u.user", "|", ("user", "age", "gender", "occupation", "zip code")),
    genres=_flagged_genres,
    year=_title_year,
)
# ml-100k as it comes with RecBole.
OF_RECBOLE = Layout(
    ratings=Format(
        "ml-100k.inter", "\t", _RATING, header="user_id:token\titem_id:token\trating:float\ttimestamp:float"
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
    genres=_listed_genres(" "),
    year=_listed_year,
)
OF_1M = Layout(
    ratings=Format("ratings.dat", "::", _RATING, encoding="latin-1"),
    films=Format("movies.dat", "::", _FILM, encoding="latin-1"),
    users=Format("users.dat", "::", ("user", "gender", "age", "occupation", "zip code"), encoding="latin-1"),
    genres=_listed_genres("|"),
    year=_title_year,
)
# ml-20m and everything that came after it.
OF_20M = Layout(
    ratings=Format("ratings.csv", ",", _RATING, header="userId,movieId,rating,timestamp", quoted=True),
    films=Format("movies.csv", ",", _FILM, header="movieId,title,genres", quoted=True),
    users=None,
    genres=_listed_genres("|"),
    year=_title_year,
)
