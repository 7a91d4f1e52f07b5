"""Synthetic impressions of many users, for timing per-user AUC.

Usage: python workload.py USERS FOLDER
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SEED = 2018
MEAN_ROWS = 54
SPREAD = 1.0
SHARE_NEVER_CLICKING = 0.03
SHARE_ALWAYS_CLICKING = 0.02


class Workload(NamedTuple):
    """Impressions in blocks of users: user ``u`` owns the rows ``offsets[u]:offsets[u + 1]``, at least one."""

    user: npt.NDArray[np.int64]
    label: npt.NDArray[np.uint8]
    score: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]

    def save(self, folder: Path) -> None:
        """Write each array to ``folder`` as ``<name>.npy``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in self._asdict().items():
            np.save(folder / f"{name}.npy", values)


def generate(users: int, seed: int = SEED) -> Workload:
    """Draw the impressions of ``users`` users.

    The rows per user are log-normal with mean 54. Some users never click and some always do, beside those who
    show one class by chance. Scores are probabilities of two decimals, hence tied within most users; all
    lie in [0, 1], since torchmetrics passes anything else through a sigmoid.

    Args:
        users: number of users, at least 1.
        seed: seed of the random generator; the same seed gives the same arrays.

    Returns:
        The workload, rows of a user being contiguous and users numbered from 0.
    """
    random = np.random.default_rng(seed)
    location = np.log(MEAN_ROWS) - SPREAD**2 / 2
    rows = np.maximum(1, np.rint(random.lognormal(location, SPREAD, users))).astype(np.int64)
    offsets = np.concatenate(([0], np.cumsum(rows)))
    user = np.repeat(np.arange(users), rows)

    appeal = random.normal(size=len(user))
    activity = random.normal(loc=-1.0, size=users)
    label = random.random(len(user)) < _sigmoid(appeal + activity[user])
    habit = random.random(users)[user]
    label[habit < SHARE_NEVER_CLICKING] = False
    label[habit >= 1 - SHARE_ALWAYS_CLICKING] = True

    noise = random.normal(size=len(user))
    score = np.round(_sigmoid(appeal + noise), 2).astype(np.float32)
    return Workload(user, label.astype(np.uint8), score, offsets)


def _sigmoid(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    probabilities: npt.NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probabilities


def main() -> None:
    """Write a workload of the size given on the command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("users", type=int)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    generate(arguments.users).save(arguments.folder)


if __name__ == "__main__":
    main()
