"""Files in the format of ml-20m, with invented films and ratings, as many as the real ones have."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

Whole = npt.NDArray[np.int64]
GENRES = ("Action", "Adventure", "Children", "Comedy", "Crime", "Documentary", "Drama", "Horror", "Romance", "Thriller")
NOUNS = ("River", "Café", "Night", "Señor", "House", "Winter", "Ghost", "Train", "Garden", "Stranger", "Été", "Letter")
LEAST = 20  # ratings of a user
FIRST, LAST = 789_652_009, 1_427_784_002  # times of rating, in seconds: 1995 to 2015
USERS_AT_ONCE = 2_000


def write(folder: Path, ratings: int = 20_000_263, users: int = 138_493, films: int = 27_278, seed: int = 0) -> None:
    """Write movies.csv and ratings.csv, the same for the same seed.

    Activity of users and popularity of films are skewed as in the real files: a few of each have most ratings. Ratings
    hang on a taste of the user's and a quality of the film's. Rows are sorted by user and film.

    Args:
        folder: exists.
        ratings: rows of ratings.csv, at least 20 for each user, and 7 films for each of its ratings on average.
        users: all of whom rate.
        films: rows of movies.csv.
        seed: of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    numbers = np.sort(rng.choice(np.arange(1, 5 * films), films, replace=False))
    _write_films(folder / "movies.csv", numbers, rng)
    popularity = np.cumsum(rng.permutation(1 / np.arange(50, films + 50) ** 1.1))
    popularity /= popularity[-1]
    quality = rng.normal(0, 0.45, films)
    activity = _shared_out(rng.lognormal(0, 1.2, users), ratings - LEAST * users, films // 3 - LEAST) + LEAST
    stars = pa.array([f"{half / 2:.1f}" for half in range(1, 11)])
    with (folder / "ratings.csv").open("wb") as file:
        file.write(b"userId,movieId,rating,timestamp\n")
        for first in range(0, users, USERS_AT_ONCE):
            counts = activity[first : first + USERS_AT_ONCE]
            user, film = _pairs(counts, popularity, rng)
            taste = rng.normal(3.5, 0.45, len(counts))[user]
            halves = np.clip(np.rint(2 * (taste + quality[film] + rng.normal(0, 0.85, len(user)))), 1, 10)
            columns = {
                "user": user + first + 1,
                "film": numbers[film],
                "stars": stars.take(pa.array(halves.astype(np.int64) - 1)),
                "time": _times(user, counts, rng),
            }
            options = csv.WriteOptions(include_header=False, quoting_style="none")
            csv.write_csv(pa.table(columns), file, options)


def _shared_out(weights: npt.NDArray[np.float64], total: int, most: int) -> Whole:
    """Whole numbers up to ``most`` that add up to ``total`` and are about proportional to the weights."""
    counts = np.zeros(len(weights), dtype=np.int64)
    while (left := total - int(counts.sum())) > 0:
        room = counts < most
        share = np.where(room, weights, 0) / weights[room].sum()
        extra = np.floor(left * share).astype(np.int64)
        if not extra.any():
            extra[np.flatnonzero(room)[:left]] = 1
        counts = np.minimum(counts + extra, most)
    return counts


def _pairs(counts: Whole, popularity: npt.NDArray[np.float64], rng: np.random.Generator) -> tuple[Whole, Whole]:
    """Users and films, sorted: as many different films for each user as it has ratings."""
    films = len(popularity)
    pairs = np.array([], dtype=np.int64)
    missing, draws = counts, 0
    while missing.any():
        user = np.repeat(np.arange(len(counts)), missing)
        # The most active have soon seen every popular film, so that in the end any other will do.
        popular = np.searchsorted(popularity, rng.random(len(user)))
        film = popular if draws < 5 else rng.integers(0, films, len(user))
        pairs = np.unique(np.concatenate([pairs, user * films + film]))
        missing, draws = counts - np.bincount(pairs // films, minlength=len(counts)), draws + 1
    return pairs // films, pairs % films


def _times(user: Whole, counts: Whole, rng: np.random.Generator) -> Whole:
    """A few sittings for each user, in each of which films are rated within minutes, in any order."""
    joined = rng.integers(FIRST, LAST, len(counts))[user]
    sitting = rng.integers(0, 5, len(user)) ** 2 * 86_400 * 20
    return np.minimum(joined + sitting + rng.integers(0, 3_600, len(user)), LAST)


def _write_films(path: Path, numbers: Whole, rng: np.random.Generator) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("movieId,title,genres\n")
        file.writelines(_films(numbers, rng))


def _films(numbers: Whole, rng: np.random.Generator) -> Iterator[str]:
    for number in numbers.tolist():
        one, other = rng.choice(NOUNS, 2, replace=False)
        title = rng.choice([f"{one} of the {other}", f"{other}, The", f'"{one}" and {other}', f"{one} {number}"])
        if rng.random() < 0.999:
            title = f"{title} ({1900 + int(115 * rng.beta(4, 1))})"
        if "," in title or '"' in title:
            title = '"' + title.replace('"', '""') + '"'
        genres = "|".join(sorted(rng.choice(GENRES, rng.integers(1, 5), replace=False)))
        yield f"{number},{title},{genres if rng.random() < 0.99 else '(no genres listed)'}\n"
