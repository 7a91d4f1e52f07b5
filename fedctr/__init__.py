"""On-device personalisation of click-through-rate models, simulated on Flower.

From nothing to a comparison::

    from fedctr import Experiment, bench

    result = bench(Experiment(dataset="movielens-100k", model="din", seeds=3))
    print(result.table())

What a strategy needs is importable from here too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedctr.adapter import Adapter
    from fedctr.benchmark import bench
    from fedctr.config import Experiment
    from fedctr.data.cache import open_dataset
    from fedctr.data.dataset import Dataset, Field, Schema
    from fedctr.data.loader import Loader
    from fedctr.errors import FedctrError
    from fedctr.federated.settings import Training
    from fedctr.federated.training import Trained, train
    from fedctr.judgement import Judged
    from fedctr.models.batch import Batch
    from fedctr.models.model import Model
    from fedctr.online.abtest import abtest
    from fedctr.online.outcome import Outcome
    from fedctr.online.settings import ABTest
    from fedctr.published import Published
    from fedctr.scored import Scored
    from fedctr.strategy import ClientStrategy, Local
    from fedctr.summary import Result

__all__ = [
    "ABTest",
    "Adapter",
    "Batch",
    "ClientStrategy",
    "Dataset",
    "Experiment",
    "FedctrError",
    "Field",
    "Judged",
    "Loader",
    "Local",
    "Model",
    "Outcome",
    "Published",
    "Result",
    "Schema",
    "Scored",
    "Trained",
    "Training",
    "abtest",
    "bench",
    "open_dataset",
    "train",
]

_HOMES = {
    "fedctr.adapter": ("Adapter",),
    "fedctr.benchmark": ("bench",),
    "fedctr.config": ("Experiment",),
    "fedctr.data.cache": ("open_dataset",),
    "fedctr.data.dataset": ("Dataset", "Field", "Schema"),
    "fedctr.data.loader": ("Loader",),
    "fedctr.errors": ("FedctrError",),
    "fedctr.federated.settings": ("Training",),
    "fedctr.federated.training": ("Trained", "train"),
    "fedctr.judgement": ("Judged",),
    "fedctr.models.batch": ("Batch",),
    "fedctr.models.model": ("Model",),
    "fedctr.online.abtest": ("abtest",),
    "fedctr.online.outcome": ("Outcome",),
    "fedctr.online.settings": ("ABTest",),
    "fedctr.published": ("Published",),
    "fedctr.scored": ("Scored",),
    "fedctr.strategy": ("ClientStrategy", "Local"),
    "fedctr.summary": ("Result",),
}


def __getattr__(name: str) -> Any:
    # Imported on first use: PyTorch, Flower and pandas take seconds, which `fedctr --help` need not spend.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'fedctr' has no attribute {name!r}")
