"""What each arm of an A/B test costs its devices, for each user and day."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from fedctr.composition import strategy_of
from fedctr.folder import read_json, write_whole
from fedctr.online.device_cost import NOTHING, DeviceCost, device_cost
from fedctr.online.log import for_devices
from fedctr.online.run import OnlineRun
from fedctr.online.world import World

FILE = "device_cost.json"
MEASURED = 5  # devices of each arm
Bill = dict[str, dict[str, Any]]


def bill(run: OnlineRun, daily: pd.DataFrame) -> Bill:
    """Measure some devices of each arm on the last day, when they hold most; what was measured before stays.

    Args:
        run: all of whose days are finished.
        daily: the content of ``daily.parquet``.

    Returns:
        For each arm ``samples``, ``seconds``, ``operations`` and ``memory_bytes`` of a night, and ``bytes_down`` and
        ``bytes_up`` for each user and day of the test.
    """
    kept: Bill | None = read_json(run.folder / FILE)
    if kept is not None:
        return kept
    found = {arm.name: _entry(run, index, daily) for index, arm in enumerate(run.settings.arms)}
    write_whole(run.folder / FILE, lambda file: file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8"))
    return found


def _entry(run: OnlineRun, index: int, daily: pd.DataFrame) -> dict[str, Any]:
    settings = run.settings
    rows = daily[(daily["arm"] == settings.arms[index].name) & (daily["day"] >= 0)]
    cost = _measured(run, index, rows)
    models = len({settings.published_on(day) for day in range(settings.days)})
    users = max(rows["user"].nunique(), 1)
    down = (cost.published_bytes * models + cost.visit_bytes * len(rows) / users) / settings.days
    figures = {key: value for key, value in asdict(cost).items() if key in ("samples", "seconds", "operations")}
    return {**figures, "memory_bytes": cost.memory_bytes, "bytes_down": down, "bytes_up": cost.bytes_up}


def _measured(run: OnlineRun, index: int, rows: pd.DataFrame) -> DeviceCost:
    """Of the devices whose number of samples on the last day is nearest to the median."""
    settings = run.settings
    arm, day = settings.arms[index], settings.days - 1
    strategy = strategy_of(settings.on_device(arm, day))
    came = rows[(rows["day"] == day) & (rows["local_samples"] > 0)].sort_values("user")
    published = run.published_before(settings.published_on(day) or 0)
    if not len(came) or published is None:
        return NOTHING
    distance = (came["local_samples"] - came["local_samples"].median()).abs().to_numpy()
    users = np.sort(came["user"].to_numpy(np.int64)[np.argsort(distance, kind="stable")[:MEASURED]])
    offered = World(run.truth, settings.world, settings.seed).candidates(day, users)
    around = range(int(users[0]), int(users[-1]) + 1)
    log = run.samples(before=day)
    features = for_devices(log, day, users, offered.items, around, published.model.history_length)
    return device_cost(published, strategy, features, settings.recipe(arm), users.tolist())


def without_time(found: Bill) -> Bill:
    """What is the same whenever and wherever it is measured."""
    return {arm: {key: value for key, value in entry.items() if key != "seconds"} for arm, entry in found.items()}
