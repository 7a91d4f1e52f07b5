"""Two federated trainings side by side: how far each came on validation, and how soon."""

from dataclasses import dataclass
from typing import Any

from fedctr.errors import FedctrError
from fedctr.judgement import Judge
from fedctr.kept.run import differing
from fedctr.kept.training import FederatedRun
from fedctr.protocol import falls_short


@dataclass(frozen=True)
class TrainingComparison:
    """What two trainings came to, seed by seed; that of one that is not finished, so far.

    Attributes:
        first: folder of the one.
        second: folder of the other.
        same_samples: whether both were validated on the very same samples, for else their figures say little.
        settings: key to its values in both, where they differ.
        best_by: by what the first's best rounds were chosen.
        seeds: seed of both to ``first`` and ``second``, each with ``round``, ``log_loss`` and ``auc`` of its best round
            on validation, and to ``caught_up``: the first round after which the second is as good as the first's best,
            by what this was chosen by; None if there is none.
    """

    first: str
    second: str
    same_samples: bool
    settings: dict[str, tuple[str | None, str | None]]
    best_by: Judge
    seeds: dict[int, dict[str, Any]]


def compare_trainings(first: FederatedRun, second: FederatedRun) -> TrainingComparison:
    """Compare two trainings.

    Raises:
        FedctrError: when a file is damaged, or no seed has done a round in both.
    """
    best = [{int(row["seed"]): row for row in run.best.to_dict("records")} for run in (first, second)]
    both = [seed for seed in best[0] if seed in best[1]]
    if not both:
        raise FedctrError(f"{first.folder} and {second.folder}: no seed has done a round in both; let them go on first")
    settings = [run.settings for run in (first, second)]
    different = differing(*settings)
    samples = [key for key in different if key == "content_hash" or key.partition(".")[0] == "split"]
    return TrainingComparison(
        str(first.folder),
        str(second.folder),
        not samples,
        different,
        first.best_by,
        {
            seed: {
                "first": _figures(best[0][seed]),
                "second": _figures(best[1][seed]),
                "caught_up": _caught_up(second, seed, best[0][seed], first.best_by),
            }
            for seed in both
        },
    )


def _figures(row: dict[Any, Any]) -> dict[str, float]:
    return {"round": int(row["round"]), "log_loss": float(row["log_loss"]), "auc": float(row["auc"])}


def _caught_up(run: FederatedRun, seed: int, best: dict[Any, Any], by: Judge) -> int | None:
    later = [row for row in run.rows() if row["seed"] == seed and row["round"] > 0]
    there = [int(row["round"]) for row in later if falls_short(row, by) <= falls_short(best, by)]
    return min(there, default=None)
