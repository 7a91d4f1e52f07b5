"""A benchmark that never was: as many users as one likes, with invented numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedctr.comparison import compare
from fedctr.config import Experiment

STRATEGIES = ("no-fine-tuning", "fine-tuning", "label-correction")
GLOBAL_CTR = 0.3


def invent(folder: Path, users: int) -> None:
    """Write a finished run folder whose numbers are invented, as ``fedctr bench`` would."""
    rng = np.random.default_rng(0)
    samples, local_samples = rng.integers(5, 60, users), rng.integers(5, 300, users)
    positives, local_positives = (rng.binomial(count, rng.beta(3, 7, users)) for count in (samples, local_samples))
    both = (positives > 0) & (positives < samples)
    skill = rng.beta(8, 5, users)
    tables = []
    for place, strategy in enumerate(STRATEGIES):
        auc = np.clip(skill + place * rng.normal(0.002, 0.03, users), 0, 1)
        tables.append(
            pd.DataFrame(
                {
                    "user": np.char.add("user-", np.arange(users).astype(str)),
                    "strategy": strategy,
                    "seed": 0,
                    "split": "test",
                    "samples": samples,
                    "positives": positives,
                    "local_samples": local_samples,
                    "local_positives": local_positives,
                    "local_ctr": local_positives / local_samples,
                    "diverged": False,
                    "auc": np.where(both, auc, np.nan),
                    "log_loss": rng.gamma(9, 0.06, users),
                    "ndcg_at_10": np.where(positives > 0, auc, np.nan),
                    "predicted_clicks": samples * rng.beta(3, 7, users),
                }
            )
        )
    test = pd.concat(tables, ignore_index=True)
    entries = compare(test, list(STRATEGIES), GLOBAL_CTR)
    chosen: dict[str, Any] = {"learning_rate": None, "epochs": None, "validation": []}
    summary = {
        "dataset": "invented",
        "model": "lr",
        "global_ctr": GLOBAL_CTR,
        "users": users,
        "seeds": 1,
        "strategies": {name: entry | chosen for name, entry in entries.items()},
        "failures": [],
        "versions": {},
    }
    (folder / "cells").mkdir(parents=True)
    test.to_parquet(folder / "users.parquet", index=False)
    (folder / "identity.json").write_text("{}")
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.toml").write_text(Experiment(seeds=1, out=folder).to_toml())
