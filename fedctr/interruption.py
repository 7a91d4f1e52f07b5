"""How a run ends when its user interrupts it, and goes on later."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fedctr.cloud import Progress
from fedctr.folder import RunFolder


class StoppedError(Exception):
    """Somebody asked the run to stop."""


@contextmanager
def interruptible(run: RunFolder, kept: Callable[[], str]) -> Iterator[None]:
    """Say what an interrupt leaves, and in any case leave the folder to others.

    Args:
        run: what may be interrupted.
        kept: says what is kept in its folder by then, such as ``7 finished days``.

    Raises:
        KeyboardInterrupt: with a message that says what is kept where.
    """
    try:
        yield
    except (KeyboardInterrupt, StoppedError):
        raise KeyboardInterrupt(
            f"{kept()} are kept in {run.folder}; run it again with --out {run.folder} to go on"
        ) from None
    finally:
        run.leave()


def after_each_epoch(run: RunFolder) -> Progress:
    """What training in the cloud calls: the reporter hears of the epoch, unless the run is to stop."""

    def progress(epoch: int, log_loss: float) -> None:
        run.reporter.advance(1, f"validation log loss {log_loss:.4f}")
        if run.stop.is_set():
            raise StoppedError

    return progress
