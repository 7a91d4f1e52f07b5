"""Files in the format of Ali_Display_Ad_Click, of its size, with clicks that can be learnt.

python experiments/benchmarks/loading/taobao.py FOLDER

The log-odds of a click are base + drift of the user + appeal of the ad + taste of the user's group for the category.
Groups show in the profiles, so a model that knows no ids can learn the taste. Rows stand in the order of the ads, as in
the original, and quirks of the original are there: missing brands, empty profile fields, users without a profile, and
the blank at the end of the profiles' header.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

DAY = 86_400
FIRST = 1_494_000_000  # 6 May 2017 in China (UTC+8)
DAYS = 8
GROUPS = 13
CATEGORIES = 6_769
CTR = 0.05
BLOCK = 1_000_000
PLACES = pa.array(["430548_1007", "430539_1007"])


def write(
    folder: Path,
    impressions: int = 26_557_961,
    users: int = 1_141_729,
    ads: int = 846_811,
    profiles: int = 1_061_768,
    seed: int = 0,
) -> None:
    """Write ``raw_sample.csv``, ``ad_feature.csv`` and ``user_profile.csv``; equal arguments, equal files.

    Args:
        folder: created if need be.
        impressions: at least as many as there are users, and ads.
        users: each has an impression.
        ads: each has an impression.
        profiles: users that have one.
        seed: another seed is another world.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    group, drift = rng.integers(0, GROUPS, users), rng.normal(0, 0.8, users)
    category = np.minimum(CATEGORIES - 1, rng.exponential(CATEGORIES / 8, ads)).astype(np.int64)
    appeal = rng.normal(0, 0.4, ads)
    taste = rng.normal(0, 0.8, (GROUPS, CATEGORIES))
    _save(folder / "ad_feature.csv", _AD_HEADER, [_ad_features(rng, category)])
    _save(folder / "user_profile.csv", _PROFILE_HEADER, [_profiles(rng, group, profiles)])
    user = _everyone(rng, users, impressions, rng.lognormal(0, 1, users))
    rng.shuffle(user)
    ad = np.sort(_everyone(rng, ads, impressions, 1 / (50 + rng.permutation(ads))))

    def log_odds(rows: slice) -> np.ndarray:
        u, a = user[rows], ad[rows]
        return drift[u] + appeal[a] + taste[group[u], category[a]]

    some = np.concatenate([log_odds(slice(first, first + 1000)) for first in range(0, impressions, BLOCK // 10)])
    base = _base(some)

    def samples() -> Iterator[pa.Table]:
        for first in range(0, impressions, BLOCK):
            rows = slice(first, min(first + BLOCK, impressions))
            count = rows.stop - rows.start
            click = rng.random(count) < _sigmoid(base + log_odds(rows))
            hour = rng.normal(15, 5, count) % 24
            time = FIRST + rng.integers(0, DAYS, count) * DAY + (hour * 3600).astype(np.int64)
            yield pa.table(
                {
                    "user": user[rows] + 1,
                    "time_stamp": time,
                    "adgroup_id": ad[rows] + 1,
                    "pid": PLACES.take(pa.array(rng.integers(0, len(PLACES), count))),
                    "nonclk": (~click).astype(np.int8),
                    "clk": click.astype(np.int8),
                }
            )

    _save(folder / "raw_sample.csv", _SAMPLE_HEADER, samples())


_SAMPLE_HEADER = "user,time_stamp,adgroup_id,pid,nonclk,clk"
_AD_HEADER = "adgroup_id,cate_id,campaign_id,customer,brand,price"
_PROFILE_HEADER = (
    "userid,cms_segid,cms_group_id,final_gender_code,age_level,"
    "pvalue_level,shopping_level,occupation,new_user_class_level "
)


def _everyone(rng: np.random.Generator, kinds: int, count: int, weights: np.ndarray) -> np.ndarray:
    """Each kind once, and the rest by weight, in 32 bits."""
    edges = np.cumsum(weights)
    parts = [np.arange(kinds, dtype=np.int32)]
    for first in range(kinds, count, BLOCK):
        drawn = rng.random(min(BLOCK, count - first)) * edges[-1]
        parts.append(np.searchsorted(edges, drawn, side="right").astype(np.int32))
    return np.concatenate(parts)


def _ad_features(rng: np.random.Generator, category: np.ndarray) -> pa.Table:
    ads = len(category)
    campaign = rng.integers(1, max(2, ads // 2), ads)
    brand = pc.cast(pa.array(rng.integers(1, 461_528, ads)), pa.string())
    prices = np.maximum(0.01, np.round(rng.lognormal(5, 1.3, ads), 2))
    order = rng.permutation(ads)  # ids are in no order in the original
    table = pa.table(
        {
            "adgroup_id": np.arange(1, ads + 1),
            "cate_id": category + 1,
            "campaign_id": campaign,
            "customer": campaign % 255_875 + 1,
            "brand": pc.if_else(pa.array(rng.random(ads) < 0.29), "NULL", brand),
            "price": prices,
        }
    )
    return table.take(pa.array(order))


def _profiles(rng: np.random.Generator, group: np.ndarray, profiles: int) -> pa.Table:
    who = rng.permutation(len(group))[:profiles]
    count, groups = len(who), group[who]

    def some(values: np.ndarray, missing: float) -> pa.Array:
        return pa.array(values, mask=rng.random(count) < missing)

    return pa.table(
        {
            "userid": who + 1,
            "cms_segid": np.where(rng.random(count) < 0.5, 0, groups * 7 + rng.integers(0, 7, count)),
            "cms_group_id": groups,
            "final_gender_code": np.where(groups < 6, 2, 1),
            "age_level": groups % 6 + 1,
            "pvalue_level": some(rng.integers(1, 4, count), 0.54),
            "shopping_level": rng.integers(1, 4, count),
            "occupation": (rng.random(count) < 0.06).astype(np.int8),
            "new_user_class_level": some(rng.integers(1, 5, count), 0.32),
        }
    )


def _base(log_odds: np.ndarray) -> float:
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(middle + log_odds).mean() < CTR else (low, middle)
    return low


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def _save(file: Path, header: str, tables: Iterator[pa.Table] | list[pa.Table]) -> None:
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    with file.open("wb") as stream:
        stream.write(f"{header}\n".encode())
        for table in tables:
            csv.write_csv(table, stream, options)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
