"""A federated training as its folder keeps it."""

from functools import cached_property
from typing import ClassVar

import pandas as pd

from fedctr.errors import FedctrError
from fedctr.kept.run import SingleRun
from fedctr.protocol import best_rounds


class FederatedRun(SingleRun):
    """What ``fedctr train`` has left."""

    kind: ClassVar[str] = "train"
    holds: ClassVar[tuple[str, ...]] = ("rounds.csv", "identity.json")

    @property
    def finished(self) -> bool:
        """Whether every seed has published its model."""
        seeds = range(self.config["seeds"])
        return all((self.folder / "published" / f"seed-{seed}").is_dir() for seed in seeds)

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """The content of ``rounds.csv``: a row for each seed and round, round 0 being the untrained model."""
        file = self.folder / "rounds.csv"
        try:
            return pd.read_csv(file)
        except (OSError, ValueError) as error:
            raise FedctrError(f"{file}: cannot be read ({' '.join(str(error).split())})") from None

    def headline(self) -> str:
        """What the best round of every seed comes to on validation."""
        done, planned = self.rounds.groupby("seed")["round"].max(), self.config["rounds"]
        if not self.finished:
            seeds = self.config["seeds"]
            return f"not finished: {done.sum():,} of {planned * seeds:,} rounds of {seeds} seeds"
        best = best_rounds(self.rounds)
        told = ", ".join(f"{number}" for number in best["round"])
        return (
            f"validation log loss {best['log_loss'].mean():.4f}, AUC {best['auc'].mean():.4f}; "
            f"published: round {told} of {planned}"
        )
