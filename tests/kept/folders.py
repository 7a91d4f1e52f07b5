"""Run folders written by hand, as small as their readers allow."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w

from fedctr.online.analysis import analyse, by_day, curves
from fedctr.online.settings import ABTest
from fedctr.verdict import BASELINES
from tests.test_result_table import entry

Aucs = Mapping[str, Sequence[Sequence[float]]]  # strategy to the AUC of each user, for each seed
CONFIG = {"dataset": "movielens-100k", "model": "lr", "seeds": 2}


def write_claim(folder: Path, config: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """What every run writes before it begins, and the log of what it did then."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(tomli_w.dumps({**config, "out": str(folder), "partitions": 4}))
    (folder / "identity.json").write_text(json.dumps({**config, "content_hash": "1f", **identity}))
    (folder / "log.txt").write_text("2026-11-24 08:00:00 begun\n2026-11-24 09:10:11 done\n")


def write_bench(folder: Path, aucs: Aucs, users: Sequence[str] = "abc", /, **identity: Any) -> Path:
    """A finished benchmark whose users have these AUCs; log loss is 1 - AUC. Keys of the identity may differ."""
    config = {**CONFIG, **{key: identity[key] for key in CONFIG if key in identity}}
    write_claim(folder, config, {"strategies": [*aucs], **identity})
    (folder / "cells").mkdir()
    absent = {key: None for key, baseline in BASELINES.items() if baseline not in aucs}
    strategies = {spec: entry(**absent) for spec in aucs}
    summary = {**config, "strategies": strategies, "users": len(users), "global_ctr": 0.5}
    (folder / "summary.json").write_text(json.dumps(summary | {"failures": [], "versions": {"fedctr": "0.1.0"}}))
    rows = [
        {"user": user, "strategy": spec, "seed": seed, "split": split, "samples": 4, "auc": auc, "log_loss": 1 - auc}
        for spec, seeds in aucs.items()
        for seed, found in enumerate(seeds)
        for split in ("validation", "test")
        for user, auc in zip(users, found if split == "test" else [0.9] * len(users), strict=True)
    ]
    pd.DataFrame(rows).to_parquet(folder / "users.parquet", index=False)
    return folder


def write_train(folder: Path, log_loss: Sequence[Sequence[float]], rounds: int = 2, **config: Any) -> Path:
    """A federated training whose seeds have come this far; AUC is 1 - log loss. Keys of config.toml may differ."""
    write_claim(folder, {**CONFIG, "rounds": rounds, "seeds": len(log_loss), **config}, {"training_version": 1})
    rows = [
        {"seed": seed, "round": number, "users": 40, "log_loss": value, "auc": 1 - value}
        for seed, curve in enumerate(log_loss)
        for number, value in enumerate(curve)
    ]
    pd.DataFrame(rows).to_csv(folder / "rounds.csv", index=False)
    for seed, curve in enumerate(log_loss):
        if len(curve) > rounds:
            (folder / "published" / f"seed-{seed}").mkdir(parents=True)
    return folder


def write_abtest(folder: Path, daily: pd.DataFrame, **summary: Any) -> Path:
    """A finished A/B test of three arms; keys of the summary may differ."""
    settings = ABTest(model="lr", days=int(daily["day"].max()) + 1, pre_days=7, warm_up_days=2)
    write_claim(folder, settings.model_dump(mode="json", exclude_none=True), {"online_version": 1})
    (folder / "days").mkdir()
    names = [arm.name for arm in settings.arms]
    arm = {"users": 1000, "ctr": 0.1, "clicks_per_user": 6.0, "regret": 0.2, "diverged": 0}
    found = {
        **{"world": "synthetic", "model": "lr", "users": 3000, "days": settings.days, "aa": False, "seed": 0},
        "fit": None,
        "arms": dict.fromkeys(names, arm),
        **analyse(daily, names, settings.pairs),
        "versions": {"fedctr": "0.1.0"},
    }
    (folder / "summary.json").write_text(json.dumps(found | summary))
    cost = {"samples": 40.0, "seconds": 0.002, "operations": 3e6, "memory_bytes": 5e4, "bytes_down": 2e3, "bytes_up": 0}
    (folder / "device_cost.json").write_text(json.dumps(dict.fromkeys(names, cost)))
    by_day(daily).to_parquet(folder / "days.parquet", index=False)
    curves(daily, settings.pairs).to_parquet(folder / "curve.parquet", index=False)
    return folder
