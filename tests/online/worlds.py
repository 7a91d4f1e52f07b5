"""Small worlds for the tests of the online experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedctr.cloud import CloudTraining
from fedctr.online.settings import ABTest, Arm, SyntheticTable, WorldTable
from fedctr.online.world import Truth, World

TABLE = SyntheticTable(users=48, items=40, candidates=8, shown=3, arrival=0.7, new_items=1)
CHOICES: dict[str, Any] = {
    "world": TABLE,
    "model": "din[embedding=4,hidden=[8],attention=4,history=5]",
    "arms": (Arm("no-fine-tuning"), Arm("fine-tuning", learning_rate=0.1), Arm("label-correction", epochs=1)),
    "days": 3,
    "pre_days": 1,
    "warm_up_days": 2,
    "retrain_every": 2,
    "partitions": 1,
    "backend": "inline",
    "cloud": CloudTraining(epochs=2),
}


def small_test(out: Path, **keys: Any) -> ABTest:
    """48 users in three arms, six days, three models; some keys may differ."""
    return ABTest(**{**CHOICES, "out": out, **keys})


def certain(likes: Sequence[Sequence[bool]], **table: Any) -> World:
    """A world in which every user arrives daily, and clicks what it likes wherever it stands, and nothing else.

    Args:
        likes: for each user whether it likes each item.
        table: what differs from one in which all items are candidates, and all of them are shown.
    """
    liked = np.array(likes, dtype=bool)
    users, items = liked.shape
    truth = Truth(
        arrival=np.ones(users),
        intercept=np.zeros(users),
        lasting=np.where(liked, 100.0, -100.0),
        own=np.zeros((users, items)),
        other=np.zeros((users, items)),
        appeal=np.zeros(items),
        factors=np.eye(items),
        exposure=np.full(items, 1 / items),
        born=np.zeros(items, np.int64),
    )
    return World(truth, WorldTable(**{"candidates": items, "shown": items, "position_bias": 0.0, **table}), seed=0)
