"""Writes files in the official format of the Amazon reviews of 2014, as large as the 5-core of Electronics.

Every user has at least 5 reviews and every item too, no pair comes twice, and users keep to some categories, so a model
has something to learn. Products beyond the items are described but not reviewed, as in the official files.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]
CORE = 5
DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_DAY, _LAST_DAY = 11_000, 16_270  # 2000 to 2014
_LOYAL = 0.7  # share of a user's reviews in his or her few favourite categories
_FAVOURITES = 3
_WORDS = (
    *("the", "it", "works", "sound", "is", "great", "battery", "cable", "screen", "for", "price", "and", "I've"),
    *('17" laptop', "don't", "würde", "again", "plug\tin", "with", "my", "camera", "one", "of", "two", "years"),
)


def write(
    folder: Path,
    *,
    users: int = 192_403,
    items: int = 63_001,
    reviews: int = 1_689_188,
    categories: int = 801,
    products: int = 498_196,
    seed: int = 0,
) -> None:
    """Write ``reviews_Electronics_5.json.gz`` and ``meta_Electronics.json.gz`` into an existing folder."""
    assert CORE * max(users, items) <= reviews <= users * items // 4
    assert categories <= items <= products
    rng = np.random.default_rng(seed)
    category = rng.permutation(
        np.concatenate([np.arange(categories), rng.integers(categories, size=items - categories)])
    )
    user, item = _pairs(rng, users, category, reviews)
    asins = [f"B00{_base36(code, 7)}" for code in rng.choice(36**7, products, replace=False)]
    names = [f"A{_base36(code, 9)}" for code in rng.choice(36**9 // 7, users)]
    names = [f"{name}{_base36(number, 4)}" for number, name in enumerate(names)]
    lines = _reviews(rng, user, item, names, asins)
    _save(folder / "reviews_Electronics_5.json.gz", lines)
    rest = rng.integers(categories, size=products - items)
    _save(folder / "meta_Electronics.json.gz", _meta(rng, asins, np.concatenate([category, rest])))


def _pairs(rng: np.random.Generator, users: int, category: Whole, reviews: int) -> tuple[Whole, Whole]:
    """Distinct pairs of user and item, (reviews,) each, sorted by item as in the official file."""
    items = len(category)
    user = np.repeat(np.arange(users), _counts(rng, users, reviews, 1.2))
    item = np.repeat(np.arange(items), _counts(rng, items, reviews, 0.9))
    # Every review wishes for a category; wishes and items are matched in the order of categories.
    favourites = category[rng.choice(item, (users, _FAVOURITES))]
    loyal = rng.random(reviews) < _LOYAL
    wish = np.where(loyal, favourites[user, rng.integers(_FAVOURITES, size=reviews)], category[rng.permutation(item)])
    user = user[np.lexsort((rng.random(reviews), wish))]
    item = item[np.lexsort((rng.random(reviews), category[item]))]
    # A pair that comes again swaps its item with that of any other review, which keeps all counts.
    while len(again := _again(user, item)):
        other = rng.choice(reviews, len(again), replace=False)
        for here, there in zip(again, other, strict=True):
            item[here], item[there] = item[there], item[here]
    order = np.lexsort((user, item))
    return user[order], item[order]


def _counts(rng: np.random.Generator, number: int, total: int, spread: float) -> Whole:
    """How many reviews each has: at least 5, the rest log-normally uneven."""
    share = rng.lognormal(0, spread, number)
    return CORE + rng.multinomial(total - CORE * number, share / share.sum())


def _again(user: Whole, item: Whole) -> Whole:
    pair = user * (int(item.max()) + 1) + item
    _, first = np.unique(pair, return_index=True)
    return np.setdiff1d(np.arange(len(pair)), first)


def _reviews(rng: np.random.Generator, user: Whole, item: Whole, names: list[str], asins: list[str]) -> Iterator[str]:
    texts = [json.dumps(_prose(rng, int(rng.lognormal(4.5, 0.6)))) for _ in range(2000)]
    quality = rng.normal(4.2, 0.6, int(item.max()) + 1)
    rating = np.clip(np.rint(quality[item] + rng.normal(0, 0.9, len(item))), 1, 5).astype(int)
    day = rng.integers(_FIRST_DAY, _LAST_DAY, len(item))
    dates = {when: f"{date.fromordinal(_EPOCH + when):%m %-d, %Y}" for when in range(_FIRST_DAY, _LAST_DAY)}
    text = rng.integers(len(texts), size=len(item))
    for row in zip(user.tolist(), item.tolist(), rating.tolist(), day.tolist(), text.tolist(), strict=True):
        person, product, stars, when, prose = row
        yield (
            f'{{"reviewerID": "{names[person]}", "asin": "{asins[product]}", "reviewerName": "N. N. \\"Nemo\\"", '
            f'"helpful": [0, {stars}], "reviewText": {texts[prose]}, "overall": {stars}.0, "summary": "{stars} stars", '
            f'"unixReviewTime": {when * DAY}, "reviewTime": "{dates[when]}"}}\n'
        )


def _meta(rng: np.random.Generator, asins: list[str], category: Whole) -> Iterator[str]:
    """Python literals, in pure ASCII as in the official file; some fields are missing here and there."""
    texts = [_prose(rng, int(rng.lognormal(4, 1))) for _ in range(2000)]
    brands = [f"Brand {number}" for number in range(4000)]
    order = rng.permutation(len(asins))
    draws = rng.integers(1 << 30, size=(len(asins), 6)).tolist()
    for place, (text, brand, start, bought, viewed, price) in zip(order.tolist(), draws, strict=True):
        start %= len(asins)
        leaf = int(category[place])
        described: dict[str, object] = {"asin": asins[place], "imUrl": f"http://images.example/I/{asins[place]}.jpg"}
        if text % 10 < 7:
            described["description"] = texts[text % len(texts)]
        described["categories"] = [["Electronics", f"Department {leaf % 20}", f"Category {leaf}"]]
        described["title"] = f'Product {asins[place]}, {price % 30}" wide' if start % 4 == 0 else "Plain & simple"
        if price % 10 < 7:
            described["price"] = price % 100_000 / 100
        if bought % 10 < 8:
            described["related"] = {
                "also_bought": asins[start : start + bought % 97],
                "also_viewed": asins[start : start + viewed % 61],
            }
        if brand % 10 < 4:
            described["brand"] = brands[brand % len(brands)]
        yield ascii(described) + "\n"


def _prose(rng: np.random.Generator, words: int) -> str:
    return " ".join(rng.choice(_WORDS, words))


def _base36(number: int, digits: int) -> str:
    return np.base_repr(number, 36).rjust(digits, "0")


def _save(path: Path, lines: Iterator[str]) -> None:
    with gzip.open(path, "wt", compresslevel=1, encoding="ascii", newline="\n") as file:
        file.writelines(lines)


if __name__ == "__main__":
    write(Path(sys.argv[1]), **{key: int(value) for key, _, value in (pair.partition("=") for pair in sys.argv[2:])})
