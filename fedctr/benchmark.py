"""Client strategies side by side on one data set with one model."""

from fedctr.config import Experiment
from fedctr.cost import cost_kept
from fedctr.interruption import interruptible
from fedctr.progress import Reporter, Silent
from fedctr.registry import import_unshadowed
from fedctr.run import Run
from fedctr.server import serve
from fedctr.simulation import simulate
from fedctr.summary import Result, conclude, kept_result


def bench(experiment: Experiment, reporter: Reporter | None = None) -> Result:
    """Train the global model, fine-tune every user with every strategy, and compare.

    Args:
        experiment: what to run.
        reporter: hears of progress; None for silence.

    Returns:
        Summary, per-user rows, the run folder, and the clients that failed, if any. A run whose folder holds the
        same experiment goes on where it was stopped; one that is finished is read again.

    Raises:
        FedctrError: for anything that the user can mend; results that were computed are in the run folder.
        KeyboardInterrupt: with a message that says what is kept where.
    """
    client = import_unshadowed("clients.client_app")
    run = Run.open(experiment, reporter or Silent())

    def kept_parts() -> str:
        return f"{len(list((run.folder / 'cells').glob('*.parquet')))} finished parts"

    with interruptible(run, kept_parts):
        if kept := kept_result(run):
            return kept
        with cost_kept(run.folder):
            simulate(
                lambda grid: serve(grid, run),
                client.app,
                experiment.partitions,
                experiment.backend,
                run.stop,
                ray_address=experiment.ray_address,
                gpu=experiment.device == "cuda",
            )
            return conclude(run)
