"""A run and its folder: what is computed is kept at once, so a run that was stopped goes on where it was."""

import hashlib
import importlib.metadata
import json
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fedctr.cloud import VERSION as CLOUD_VERSION
from fedctr.composition import ALL, strategies_of
from fedctr.config import Experiment
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.split import Part
from fedctr.errors import FedctrError
from fedctr.fingerprint import fingerprint
from fedctr.folder import RunFolder, check_partitions, new_folder, writing
from fedctr.messages import Failure, digest
from fedctr.models.model import Model, models
from fedctr.progress import Reporter
from fedctr.protocol import Trial
from fedctr.published import Published
from fedctr.published_run import published_by
from fedctr.registry import parse
from fedctr.retention import EVERYTHING
from fedctr.scoring import check_model
from fedctr.strategy import ClientStrategy, code_of, share_held_out, strategies

VERSION = 2  # raise it when the same settings have another outcome


@dataclass(eq=False)
class Run(RunFolder):
    """An experiment whose every part has been checked, and the folder that its results go to.

    Attributes:
        experiment: the configuration.
        dataset: all samples, memory-mapped.
        strategies: spec to strategy, in the order given.
        folder: the run folder.
        reporter: hears of progress.
        borrowed: for each seed a model that another run has published, and facts on its training; empty where the
            cloud trains them.
        ranked: whether strategies are shown by their difference in GAUC, and not in the order given.
        failures: what went wrong at clients.
        stop: set when the user interrupts the run.
    """

    experiment: Experiment
    dataset: Dataset
    strategies: dict[str, ClientStrategy]
    folder: Path
    reporter: Reporter
    borrowed: list[tuple[Published, dict[str, Any]]] = field(default_factory=list)
    ranked: bool = False
    failures: list[Failure] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, experiment: Experiment, reporter: Reporter) -> "Run":
        """Check everything that can be checked before the work starts, then lay out the run folder.

        Raises:
            FedctrError: for an unknown name or option, bad files, more partitions than users, or a folder that
                holds another run. Nothing has been written then.
        """
        shelf = strategies_of([spec for spec in experiment.strategies if spec != ALL])
        models.find(parse(experiment.model).name)
        if experiment.device == "cuda" and not torch.cuda.is_available():
            raise FedctrError("device: PyTorch finds no GPU here; leave out --device, or choose cpu")
        dataset = open_dataset(experiment.dataset, experiment.path, experiment.on_bad_row, reporter)
        model = models.create(experiment.model, dataset.schema)
        for spec, strategy in shelf.items():
            _check_fit(spec, strategy, experiment, model)
        ranked = ALL in experiment.strategies
        if ranked:
            shelf |= _others(shelf, experiment, model, reporter)
            experiment = experiment.model_copy(update={"strategies": tuple(shelf)})
        check_partitions(experiment.partitions, dataset)
        borrowed = published_by(experiment.published, experiment, dataset) if experiment.published else []
        folder = experiment.out or new_folder(dataset.name, experiment.model)
        run = cls(experiment, dataset, shelf, folder, reporter, borrowed, ranked)
        run.claim(run._science(), experiment.to_toml())
        return run

    def lay_out(self) -> None:
        """Make the folder of the cells."""
        with writing(self.folder / "cells") as cells:
            cells.mkdir(exist_ok=True)

    @property
    def seeds(self) -> range:
        """Every seed of the run."""
        return range(self.experiment.seeds)

    @property
    def trials(self) -> list[Trial]:
        """Hyperparameters of fine-tuning to choose from."""
        return [
            Trial(learning_rate, epochs)
            for learning_rate in self.experiment.learning_rates
            for epochs in self.experiment.epochs
        ]

    def cell(self, part: Part, spec: str, seed: int) -> Path:
        """Where the rows of one strategy and seed are kept; a strategy whose code has changed has another place."""
        strategy = self.strategies[spec]
        code = " ".join([repr(strategy), *code_of(strategy)])
        slug = re.sub("[^a-z0-9]+", "-", spec.lower()).strip("-")[:60]
        digest = hashlib.sha256(code.encode()).hexdigest()[:6]
        return self.folder / "cells" / f"{part}-{slug}-{digest}-seed{seed}.parquet"

    def _science(self) -> dict[str, Any]:
        """What determines the results to the bit, but for the strategies' code, as JSON gives it back."""
        model = parse(self.experiment.model).name
        science = {
            **self.experiment.science(),
            "content_hash": self.dataset.content_hash,
            "model_code": fingerprint(models.find(model)),
            "bench_version": VERSION,
            "cloud_version": CLOUD_VERSION,
            "versions": {name: importlib.metadata.version(name) for name in ("fedctr", "torch")},
        }
        if self.borrowed:
            science["published"] = [digest(published) for published, _ in self.borrowed]
        value: dict[str, Any] = json.loads(json.dumps(science))
        return value


def check_fit(spec: str, strategy: ClientStrategy, named: str, model: Model) -> float:
    """Refuse a strategy that has nothing to work on in a model; the share of local samples that it holds out.

    Raises:
        FedctrError: naming strategy and model.
    """
    try:
        check_model(strategy, model)
        return share_held_out(strategy)
    except ValueError as error:
        raise FedctrError(f"strategy {spec!r} with model {named!r}: {error}") from None
    except (Exception, SystemExit):  # a stranger's hook that fails is reported by the client, with the user
        return 0.0


def _check_fit(spec: str, strategy: ClientStrategy, experiment: Experiment, model: Model) -> None:
    """Refuse a strategy that has nothing to work on, or needs samples that devices lose."""
    share = check_fit(spec, strategy, experiment.model, model)
    if experiment.local != EVERYTHING and share > 0:
        raise FedctrError(f"local: strategy {spec} judges by the latest local samples, which must not be lost")


def _others(
    named: dict[str, ClientStrategy], experiment: Experiment, model: Model, reporter: Reporter
) -> dict[str, ClientStrategy]:
    """All other installed strategies with their default options; of those that do not fit, a line says why."""
    found: dict[str, ClientStrategy] = {}
    for name in strategies.classes():
        try:
            strategy = strategies.create(name)
            if strategy not in named.values():
                _check_fit(name, strategy, experiment, model)
                found[name] = strategy
        except FedctrError as error:
            reporter.say(f"{ALL} leaves out {name}: {error}")
    return found
