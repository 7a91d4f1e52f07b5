"""The online experiment: a simulated A/B test of what devices do with their own samples."""

from fedctr.cost import measured
from fedctr.online.outcome import Outcome, conclude
from fedctr.online.run import OnlineRun
from fedctr.online.server import serve
from fedctr.online.settings import ABTest
from fedctr.progress import Reporter, Silent
from fedctr.registry import import_unshadowed
from fedctr.server import StoppedError
from fedctr.simulation import simulate


def abtest(settings: ABTest, reporter: Reporter | None = None) -> Outcome:
    """Simulate an A/B test, day by day.

    Args:
        settings: what to run.
        reporter: hears of progress; None for silence.

    Returns:
        What each arm came to, the daily rows, and the run folder. A run whose folder holds the same test goes on after
        its last day.

    Raises:
        FedctrError: for anything that the user can mend; days that were finished are in the run folder.
        KeyboardInterrupt: with a message that says what is kept where.
    """
    client = import_unshadowed("clients.client_app")
    run = OnlineRun.open(settings, reporter or Silent())
    try:
        if run.finished:
            return conclude(run)
        with measured(run.folder):
            simulate(
                lambda grid: serve(grid, run),
                client.app,
                settings.partitions,
                settings.backend,
                run.stop,
                ray_address=settings.ray_address,
            )
            return conclude(run)
    except (KeyboardInterrupt, StoppedError):
        raise KeyboardInterrupt(
            f"{len(run.shown)} finished days are kept in {run.folder}; run it again with --out {run.folder} to go on"
        ) from None
    finally:
        run.stop_file.unlink(missing_ok=True)
