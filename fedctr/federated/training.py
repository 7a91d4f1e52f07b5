"""A global model trained by federated rounds."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fedctr.cost import cost_kept
from fedctr.federated.beside_cloud import BesideCloud, beside_cloud
from fedctr.federated.run import TrainingRun
from fedctr.federated.server import serve
from fedctr.federated.settings import Training
from fedctr.interruption import interruptible
from fedctr.judgement import Judge
from fedctr.messages import Failure, complaint
from fedctr.progress import Reporter, Silent
from fedctr.protocol import best_rounds
from fedctr.registry import import_unshadowed
from fedctr.simulation import simulate


@dataclass(frozen=True, eq=False)
class Trained:
    """What federated training came to.

    Attributes:
        rounds: the content of ``rounds.csv``, a row for each seed and round.
        folder: the run folder, whose ``published`` holds the best model of every seed.
        best_by: by what the published rounds are best.
        beside_cloud: every seed's published model beside the cloud's, if that was asked for.
        failures: what went wrong at clients in this process's rounds.
    """

    rounds: pd.DataFrame
    folder: Path
    best_by: Judge = "log-loss"
    beside_cloud: tuple[BesideCloud, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def complaint(self) -> str:
        """What failed, in one line; empty where nothing did."""
        return complaint(self.failures, "the rounds went on without")

    def best(self) -> pd.DataFrame:
        """The row of each seed's published round."""
        return best_rounds(self.rounds, self.best_by)


def train(training: Training, reporter: Reporter | None = None) -> Trained:
    """Train a global model by rounds, for every seed.

    Args:
        training: what to run.
        reporter: hears of progress; None for silence.

    Returns:
        The curves, and the run folder. A run whose folder holds the same training goes on after its last round.

    Raises:
        FedctrError: for anything that the user can mend; rounds that were finished are in the run folder.
        KeyboardInterrupt: with a message that says what is kept where.
    """
    client = import_unshadowed("clients.client_app")
    run = TrainingRun.open(training, reporter or Silent())
    with interruptible(run, lambda: "the finished rounds"):
        with cost_kept(run.folder):
            simulate(
                lambda grid: serve(grid, run),
                client.app,
                training.partitions,
                training.backend,
                run.stop,
                ray_address=training.ray_address,
            )
            beside = beside_cloud(run) if training.beside_cloud else ()
        return Trained(run.rounds, run.folder, training.best_by, beside, tuple(run.failures))
