"""Which trackers of experiments there are: a new one is a module with a ``show``, and a line in ``TRACKERS``."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from fedctr.errors import FedctrError, did_you_mean
from fedctr.tracking.record import Record


class Show(Protocol):
    """What an adapter does."""

    def __call__(self, record: Record) -> str:
        """Show a run in the place of what was shown of it before, and say where."""


@dataclass(frozen=True)
class Tracker:
    """A tracker of experiments, and what has to be installed for it.

    Attributes:
        adapter: the module whose ``show`` shows a run.
        needs: modules of the libraries that it imports.
        look: the command to look at runs in a folder.
    """

    adapter: str
    needs: tuple[str, ...]
    look: str


TRACKERS: Mapping[str, Tracker] = {
    "tensorboard": Tracker("fedctr.tracking.tensorboard", ("tensorboard",), "tensorboard --logdir {folder}"),
    "mlflow": Tracker(
        "fedctr.tracking.mlflow",
        ("mlflow", "sqlalchemy", "alembic"),
        # The extra brings the part of MLflow that writes; all of it would hold pandas back.
        "mlflow ui, from an environment of its own with all of MLflow: pip install mlflow",
    ),
}


def adapter(name: str) -> Show:
    """How the tracker of this name shows a run.

    Raises:
        FedctrError: for an unknown name, or one whose libraries are not installed; it names the extra that brings them.
    """
    if name not in TRACKERS:
        hint = did_you_mean(name, TRACKERS) or f"choose among {', '.join(TRACKERS)}"
        raise FedctrError(f"--to: unknown tracker {name!r}; {hint}")
    found = TRACKERS[name]
    absent = [module for module in found.needs if find_spec(module) is None]
    if absent:
        raise FedctrError(f"--to {name}: {', '.join(absent)} not installed; pip install 'fedctr[{name}]'")
    show: Show = import_module(found.adapter).show
    return show
