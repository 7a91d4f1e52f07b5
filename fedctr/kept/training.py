"""A federated training as its folder keeps it."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from fedctr.block import Block
from fedctr.counted import counted
from fedctr.errors import FedctrError
from fedctr.kept.run import Curve, SingleRun

if TYPE_CHECKING:
    import pandas as pd

    from fedctr.judgement import Judge


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
    def rounds(self) -> "pd.DataFrame":
        """The content of ``rounds.csv``: a row for each seed and round, round 0 being the untrained model."""
        import pandas as pd  # takes half a second, which other runs need not wait for

        file = self.folder / "rounds.csv"
        try:
            rounds = pd.read_csv(file)
        except (OSError, ValueError) as error:
            raise FedctrError(f"{file}: cannot be read ({' '.join(str(error).split())})") from None
        for column in ("seed", "round", "log_loss", "auc"):
            if column not in rounds:
                raise FedctrError(f"{file}: damaged, there is no column {column!r}")
        return rounds

    @property
    def best_by(self) -> "Judge":
        """By what the best round is chosen; before there was a choice it was the log loss."""
        by: Judge = self.config.get("best_by", "log-loss")
        return by

    @cached_property
    def best(self) -> "pd.DataFrame":
        """Of every seed the row of its best round on validation, which it publishes."""
        from fedctr.protocol import best_rounds

        return best_rounds(self.rounds, self.best_by)

    def headline(self) -> str:
        """What the best round of every seed comes to on validation."""
        done, planned = self.rounds.groupby("seed")["round"].max(), self.config["rounds"]
        if not self.finished:
            seeds = self.config["seeds"]
            return f"not finished: {done.sum():,} of {planned * seeds:,} rounds of {counted(seeds, 'seed')}"
        best = self.best
        told = ", ".join(f"{number}" for number in best["round"])
        return (
            f"validation log loss {best['log_loss'].mean():.4f}, AUC {best['auc'].mean():.4f}; "
            f"published: round {told} of {planned}"
        )

    def figures(self) -> dict[str, float]:
        """Means over seeds of the best rounds on validation; empty while no seed has done a round."""
        best = self.best
        return {f"published/{name}": float(best[name].mean()) for name in ("log_loss", "auc", "round") if len(best)}

    def curves(self) -> dict[str, Curve]:
        """Validation of each seed by round, from the untrained model on."""
        return {
            f"{name}/seed {seed}": [(int(row["round"]), float(row[name])) for _, row in rows.iterrows()]
            for name in ("log_loss", "auc")
            for seed, rows in self.rounds.groupby("seed")
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for each seed and round."""
        return [{str(name): value for name, value in row.items()} for row in self.rounds.to_dict("records")]

    def table(self) -> tuple[Block, str]:
        """The round that each seed has published, or has as its best so far."""
        best = self.best
        lines = [[f"{row.seed}", f"{row.round}", f"{row.log_loss:.4f}", f"{row.auc:.4f}"] for row in best.itertuples()]
        title = f"{self.model} on {self.dataset}, trained by rounds"
        caption = f"Of {self.config['rounds']} rounds each seed's best on validation, by {self.best_by}."
        return Block(title, ["seed", "round", "log loss", "AUC"], lines, left=0), caption
