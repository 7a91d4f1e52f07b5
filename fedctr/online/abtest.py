"""The online experiment: a simulated A/B test of what devices do with their own samples."""

from collections.abc import Iterator
from contextlib import contextmanager

from fedctr.cost import cost_kept
from fedctr.errors import FedctrError
from fedctr.interruption import interruptible
from fedctr.online.forecast import Forecast, forecast
from fedctr.online.outcome import Outcome, conclude
from fedctr.online.plan import FEWEST_DAYS
from fedctr.online.run import OnlineRun
from fedctr.online.server import serve
from fedctr.online.settings import ABTest
from fedctr.progress import Reporter, Silent
from fedctr.registry import import_unshadowed
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
    run = OnlineRun.open(settings, reporter or Silent())
    with _simulated(run, settings.days):
        return conclude(run)


def plan(settings: ABTest, reporter: Reporter | None = None) -> Forecast:
    """Simulate the days before an A/B test, and tell what it could find.

    Args:
        settings: what is to be run.
        reporter: hears of progress; None for silence.

    Returns:
        The power of the test for some lifts, and the run folder, from which :func:`abtest` goes on.

    Raises:
        FedctrError: as :func:`abtest`, and when the days before the test are too few to plan by.
        KeyboardInterrupt: as :func:`abtest`.
    """
    if settings.pre_days < 2:
        raise FedctrError(f"pre_days: {settings.pre_days} days are too few to plan by; set it to {FEWEST_DAYS} or more")
    run = OnlineRun.open(settings, reporter or Silent())
    with _simulated(run, 0):
        return forecast(run)


@contextmanager
def _simulated(run: OnlineRun, until: int) -> Iterator[None]:
    """Have the days before ``until`` simulated that are not finished yet, and make sense of an interrupt."""
    settings = run.settings
    with interruptible(run, lambda: f"{len(run.shown)} finished days"):
        if run.next_day >= until:
            yield
            return
        client = import_unshadowed("clients.client_app")
        with cost_kept(run.folder):
            simulate(
                lambda grid: serve(grid, run, until),
                client.app,
                settings.partitions,
                settings.backend,
                run.stop,
                ray_address=settings.ray_address,
            )
            yield
