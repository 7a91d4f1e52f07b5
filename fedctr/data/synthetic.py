"""A generator of impressions with known truth: tastes, user intercepts, popularity and time."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedctr.data.dataset import Dataset, Field, Ints, Schema
from fedctr.data.loader import Loader
from fedctr.data.reading import Reading

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

FACTORS = 8  # dimensions of taste
GROUPS = 6  # of users with a common taste
CATEGORIES = 20
TAGS = 12
MOST_TAGS = 3
FEWEST_SAMPLES = 10

# Users are drawn in chunks of this size, always whole: the first users are the same however many follow.
_CHUNK = 1024
_SPREAD = 0.5  # sd of the logarithm of samples per user
SHARED = 0.8  # of a taste vector is its cluster's, the rest (0.6, for unit variance) its own
_ITEM, _USER, _COUNT, _REFERENCE = range(4)  # random streams
_DAY = 86_400
_EPOCH = 1_600_000_000


@dataclass(frozen=True, eq=False)
class LabelTruth:
    """What the labels were drawn from.

    Attributes:
        probability: of a positive, float64 (samples,).
        intercept: of the user in log-odds, float64 (users,).
    """

    probability: Floats
    intercept: Floats


@dataclass(frozen=True)
class Synthetic(Loader):
    """Users with tastes and habits of their own, drawn from a known model.

    The log-odds of a positive are ``base + intercept(user) + appeal(item) + taste * affinity(user, item)``.
    Tastes are clustered, and the clusters show in the user's group and the item's category and tags, so a
    model that knows no ids can learn them. The affinity averages to zero over what a user is shown: the
    intercept makes the drift.

    Attributes:
        users: number of users; the first ones are the same for any number.
        items: number of items; exposure falls with their rank as in Zipf's law.
        samples_per_user: mean of a log-normal number of impressions per user, at least 10.
        ctr: expected global CTR.
        drift: standard deviation of the user intercept in log-odds; 0 is no drift.
        taste: standard deviation of the affinity in log-odds.
        seed: another seed is another world.
    """

    name: ClassVar[str] = "synthetic"
    needs_files: ClassVar[bool] = False

    users: int = 1000
    items: int = 500
    samples_per_user: float = 50
    ctr: float = 0.3
    drift: float = 0.8
    taste: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for option, least in (("users", 1), ("items", 1), ("seed", 0)):
            value = getattr(self, option)
            if type(value) is not int or not least <= value < 2**31 - 1:
                raise ValueError(f"{option} is {value!r}; it must be a whole number of at least {least}")
        for option, low, high in (
            ("samples_per_user", FEWEST_SAMPLES, 1e6),
            ("ctr", 0.001, 0.999),
            ("drift", 0, 10),
            ("taste", 0, 10),
        ):
            value = getattr(self, option)
            if type(value) not in (int, float) or not low <= value <= high:
                raise ValueError(f"{option} is {value!r}; it must be a number from {low:g} to {high:g}")

    def read(self, path: Path | None, reading: Reading) -> Dataset:
        """Generate the data set; there is no file to read."""
        world = self.catalogue()
        counts = self._counts()
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Filled chunk by chunk, so that little more than the result is ever in memory.
        item = np.empty(offsets[-1], np.int32)
        label = np.empty(offsets[-1], np.uint8)
        time = np.empty(offsets[-1], np.int64)
        group = np.empty(self.users, np.int32)
        for users, chunk in self._chunks(world):
            rows = slice(offsets[users.start], offsets[users.stop])
            size = rows.stop - rows.start
            item[rows], label[rows], time[rows] = chunk.item[:size], chunk.label[:size], chunk.time[:size]
            group[users] = chunk.people.group[: users.stop - users.start]
        return Dataset(
            name=self.name,
            schema=Schema(
                (Field("user", self.users + 1), Field("group", GROUPS + 1)),
                (
                    Field("item", self.items + 1),
                    Field("category", CATEGORIES + 1),
                    Field("tags", TAGS + 1, values=MOST_TAGS),
                ),
            ),
            user_ids=_numbered(self.users),
            item_ids=_numbered(self.items),
            user_codes=np.column_stack([np.arange(1, self.users + 1, dtype=np.int32), group]),
            item_codes=world.codes,
            offsets=offsets,
            item=item,
            label=label,
            time=time,
        )

    def truth(self) -> LabelTruth:
        """What the samples of :meth:`read` were drawn from, in the same order."""
        counts = self._counts()
        probability, intercept = [], []
        for users, chunk in self._chunks(self.catalogue()):
            probability.append(chunk.probability[: counts[users].sum()])
            intercept.append(chunk.people.intercept[: users.stop - users.start])
        return LabelTruth(np.concatenate(probability), np.concatenate(intercept))

    def catalogue(self) -> "Catalogue":
        """The items, and what else all users share."""
        return _world(self)

    def people(self) -> "People":
        """The users, the same as those of :meth:`read`."""
        world = self.catalogue()
        chunks = [_people(self, world, chunk)[0] for chunk in range(-(-self.users // _CHUNK))]
        return People(
            *(
                np.concatenate([getattr(chunk, field.name) for chunk in chunks])[: self.users]
                for field in dataclasses.fields(People)
            )
        )

    def _counts(self) -> Whole:
        chunks = range(-(-self.users // _CHUNK))
        return np.concatenate([_counts(self, chunk) for chunk in chunks])[: self.users]

    def _chunks(self, world: "Catalogue") -> Iterator[tuple[slice, "_Chunk"]]:
        for index, start in enumerate(range(0, self.users, _CHUNK)):
            yield slice(start, min(start + _CHUNK, self.users)), _chunk(self, world, index)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What all users share: the items, the centres of the groups, and the base log-odds.

    Attributes:
        shown: cumulative probability of exposure, float64 (items,).
        appeal: log-odds, float64 (items,).
        taste: what an affinity is the product with, float64 (items, FACTORS).
        codes: int32 (items, columns).
        centres: float64 (GROUPS, FACTORS).
        base: log-odds.
    """

    shown: Floats
    appeal: Floats
    taste: Floats
    codes: Ints
    centres: Floats
    base: float


@dataclass(frozen=True, eq=False)
class People:
    """What makes the users.

    Attributes:
        group: codes, int64 (users,).
        intercept: log-odds, float64 (users,).
        taste: float64 (users, FACTORS), of which ``SHARED`` times the centre of the group is common to the group.
    """

    group: Whole
    intercept: Floats
    taste: Floats


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Users and their samples, sorted by user, time and item."""

    people: People
    item: Whole  # (samples,), as all below
    time: Whole
    probability: Floats
    label: npt.NDArray[np.bool_]


def _world(options: Synthetic) -> Catalogue:
    rng = np.random.default_rng([options.seed, _ITEM])
    items = options.items
    exposure = 1 / (10 + rng.permutation(items))
    exposure /= exposure.sum()
    taste, category = _clustered(rng, rng.standard_normal((CATEGORIES, FACTORS)), items)
    affinity_with_tags = taste @ rng.standard_normal((FACTORS, TAGS))
    tags = np.argsort(-affinity_with_tags, axis=1)[:, :MOST_TAGS] + 1
    tags[np.arange(MOST_TAGS) >= rng.integers(1, MOST_TAGS + 1, items)[:, None]] = 0
    rank = np.log(exposure) - exposure @ np.log(exposure)
    appeal = 0.4 * rng.standard_normal(items) + 0.4 * rank
    centres = rng.standard_normal((GROUPS, FACTORS))
    taste -= exposure @ taste
    codes = np.column_stack([np.arange(1, items + 1), category, tags]).astype(np.int32)
    world = Catalogue(np.cumsum(exposure), appeal, taste, codes, centres, base=0.0)
    return replace(world, base=_base(options, world))


def _clustered(rng: np.random.Generator, centres: Floats, number: int) -> tuple[Floats, Whole]:
    """Vectors (number, FACTORS) scattered round the centres, and the codes of their clusters (number,)."""
    cluster = rng.integers(len(centres), size=number)
    own = rng.standard_normal((number, FACTORS))
    return SHARED * centres[cluster] + np.sqrt(1 - SHARED**2) * own, cluster + 1


def _base(options: Synthetic, world: Catalogue) -> float:
    """The base log-odds for the wanted CTR, from reference users so that it does not depend on ``users``."""
    rng = np.random.default_rng([options.seed, _REFERENCE])
    number = 32 * _CHUNK
    vector, _ = _clustered(rng, world.centres, number)
    item = _shown_items(rng, world, number)
    logits = _logits(options, world, options.drift * rng.standard_normal(number), vector, item)
    low, high = -50.0, 50.0
    for _ in range(60):
        base = (low + high) / 2
        low, high = (base, high) if _sigmoid(base + logits).mean() < options.ctr else (low, base)
    return base


def _counts(options: Synthetic, chunk: int) -> Whole:
    rng = np.random.default_rng([options.seed, _COUNT, chunk])
    mean = np.log(options.samples_per_user) - _SPREAD**2 / 2
    counts = np.rint(np.exp(mean + _SPREAD * rng.standard_normal(_CHUNK)))
    whole: Whole = np.maximum(FEWEST_SAMPLES, counts).astype(np.int64)
    return whole


def _people(options: Synthetic, world: Catalogue, index: int) -> tuple[People, np.random.Generator]:
    """The users of a chunk, and the stream that goes on with their samples."""
    rng = np.random.default_rng([options.seed, _USER, index])
    taste, group = _clustered(rng, world.centres, _CHUNK)
    return People(group, options.drift * rng.standard_normal(_CHUNK), taste), rng


def _chunk(options: Synthetic, world: Catalogue, index: int) -> _Chunk:
    people, rng = _people(options, world, index)
    counts = _counts(options, index)
    user = np.repeat(np.arange(_CHUNK), counts)
    item = _shown_items(rng, world, len(user))
    time = _times(rng, counts, item)
    order = np.lexsort((item, time, user))
    item, time = item[order], time[order]
    probability = _sigmoid(_logits(options, world, people.intercept[user], people.taste[user], item))
    return _Chunk(people, item, time, probability, rng.random(len(user)) < probability)


def _shown_items(rng: np.random.Generator, world: Catalogue, number: int) -> Whole:
    last = len(world.shown) - 1  # rounding may leave the cumulative sum just below 1
    rows: Whole = np.minimum(np.searchsorted(world.shown, rng.random(number), side="right"), last)
    return rows


def _times(rng: np.random.Generator, counts: Whole, item: Whole) -> Whole:
    """Seconds, increasing for each user but for pairs of different items that were shown together."""
    first = np.cumsum(counts) - counts
    place = np.arange(len(item)) - np.repeat(first, counts)
    gap = 1 + rng.exponential(_DAY / 4, len(item)).astype(np.int64)
    together = (place % 2 == 1) & (rng.random(len(item)) < 0.2) & (item != np.roll(item, 1))
    elapsed = np.cumsum(np.where(together, 0, gap))
    start = _EPOCH + rng.integers(30 * _DAY, size=len(counts))
    times: Whole = elapsed + np.repeat(start - elapsed[first], counts)
    return times


def _logits(options: Synthetic, world: Catalogue, intercept: Floats, vector: Floats, item: Whole) -> Floats:
    """Log-odds (samples,) for one intercept, vector and item per sample."""
    affinity = np.einsum("sf,sf->s", vector, world.taste[item]) / np.sqrt(FACTORS)
    logits: Floats = world.base + intercept + world.appeal[item] + options.taste * affinity
    return logits


def _sigmoid(logits: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -logits))


def _numbered(number: int) -> pa.StringArray:
    return pc.cast(pa.array(np.arange(1, number + 1)), pa.string())
