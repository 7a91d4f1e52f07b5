"""Users who come and click, drawn without any model, for tests of statistics."""

import numpy as np
import pandas as pd

SHOWN = 10


def visits(
    seed: int,
    users: int,
    lifts: dict[str, float],
    days: int = 14,
    days_before: int = 7,
    arriving: float = 0.6,
    spread: float = 0.6,
    turn: float = 0.0,
) -> pd.DataFrame:
    """Daily rows of users in equally likely arms, each of which raises everybody's chance to click from day 0 on.

    What tells a user from others turns by ``turn`` radians a day: days that are k apart correlate like cos(turn * k).
    """
    rng = np.random.default_rng(seed)
    arms = np.array(list(lifts))
    arm = rng.integers(len(arms), size=users)
    taste = rng.normal(0, spread, users)
    comes = np.clip(rng.beta(4 * arriving, 4 * (1 - arriving), users), 0.05, 1)
    span = np.arange(-days_before, days)
    user, day = np.nonzero(rng.random((users, len(span))) < comes[:, None])
    factor = np.where(span[day] >= 0, 1 + np.array(list(lifts.values()))[arm[user]], 1)
    if turn:
        taste = np.cos(turn * span[day]) * taste[user] + np.sin(turn * span[day]) * rng.normal(0, spread, users)[user]
    else:
        taste = taste[user]
    chance = 0.1 * np.exp(taste - spread**2 / 2)
    clicks = rng.binomial(SHOWN, np.minimum(chance * factor, 1))
    return pd.DataFrame(
        {"user": user, "arm": arms[arm[user]], "day": span[day], "impressions": SHOWN, "clicks": clicks}
    )
