"""What a gate is worth: how much of a strategy's harm goes when users may refuse the tuned model, and what it costs.

A user's **harm** is the AUC that it loses against the published model, ``max(p - x, 0)``, and its **gain** what it
wins, ``max(x - p, 0)``. Added up over users and seeds, with x without the gate and x' with it:

- harm removed: ``1 - sum of max(p - x', 0) / sum of max(p - x, 0)``,
- gain lost: ``1 - sum of max(x' - p, 0) / sum of max(x - p, 0)``.

A gate that chose by a coin would remove as much of the one as it loses of the other. Validation chooses learning rate
and epochs for either by itself, so a gated strategy may also tune otherwise; a share below 0 means that harm or gain
grew.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedctr.composition import JUDGING, ONE_OWNER, SHARED
from fedctr.statistics import paired_ratio
from fedctr.strategy import ClientStrategy, overrides
from fedctr.verdict import REFERENCE

Floats = npt.NDArray[np.float64]


def ungated(strategies: Mapping[str, ClientStrategy]) -> dict[str, str]:
    """The specs of strategies with a gate, each with that of the same strategy without one, where both are there.

    A gate is a component that decides on ``held_out``, ``candidates`` and ``choose``, and on nothing else.
    """
    tuning = {spec: strategy for spec, strategy in strategies.items() if strategy.tunes}
    parts = {
        spec: [part for part in strategy.components() if _changes(part)] for spec, strategy in tuning.items()
    }  # plain fine-tuning has none
    found: dict[str, str] = {}
    for spec, own in parts.items():
        others = [part for part in own if not _changes(part) <= set(JUDGING)]
        twin = next((other for other, theirs in parts.items() if theirs == others), None)
        if twin is not None and len(others) < len(own):
            found[spec] = twin
    return found


def gate_report(test: pd.DataFrame, twins: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What each gate removes and costs.

    Args:
        test: rows of the test part as in ``users.parquet``, those of no fine-tuning among them.
        twins: spec with a gate to spec without.

    Returns:
        For each spec with a gate ``ungated``, the spec without; ``harm_removed`` and ``gain_lost``, each a share with
        the 95 % limits of a bootstrap over users and seeds, NaN where there was none to begin with.
    """
    auc = {
        spec: test[test["strategy"] == spec].pivot(index="user", columns="seed", values="auc").to_numpy(np.float64)
        for spec in {REFERENCE, *twins, *twins.values()}
    }
    published = auc[REFERENCE]
    return {
        gated: {
            "ungated": twin,
            "harm_removed": _share_gone(published - auc[twin], published - auc[gated]),
            "gain_lost": _share_gone(auc[twin] - published, auc[gated] - published),
        }
        for gated, twin in twins.items()
    }


def _share_gone(before: Floats, after: Floats) -> dict[str, Any]:
    """How much of the sum of what is above 0 has gone."""
    whole = np.maximum(before, 0)
    interval = asdict(paired_ratio(whole - np.maximum(after, 0), whole))
    return {key: interval[key] for key in ("mean", "low", "high", "users")}


def _changes(part: ClientStrategy) -> set[str]:
    """The hooks in which a component differs from plain fine-tuning."""
    return {hook for hook in ONE_OWNER + SHARED if overrides(part, hook)}
