"""A run and its folder: what is computed is kept at once, so a run that was stopped goes on where it was."""

import hashlib
import importlib.metadata
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from fedctr.cloud import VERSION
from fedctr.composition import strategies_of
from fedctr.config import Experiment
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.split import Part
from fedctr.errors import FedctrError
from fedctr.messages import Failure
from fedctr.models.model import models
from fedctr.progress import Reporter
from fedctr.protocol import Trial
from fedctr.published import Published
from fedctr.registry import fingerprint, parse
from fedctr.retention import EVERYTHING
from fedctr.strategy import ClientStrategy, share_held_out, trainable_of


@dataclass(eq=False)
class Run:
    """An experiment whose every part has been checked, and the folder that its results go to.

    Attributes:
        experiment: the configuration.
        dataset: all samples, memory-mapped.
        strategies: spec to strategy, in the order given.
        folder: the run folder.
        reporter: hears of progress.
        failures: what went wrong at clients.
        stop: set when the user interrupts the run.
    """

    experiment: Experiment
    dataset: Dataset
    strategies: dict[str, ClientStrategy]
    folder: Path
    reporter: Reporter
    failures: list[Failure] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, experiment: Experiment, reporter: Reporter) -> "Run":
        """Check everything that can be checked before the work starts, then lay out the run folder.

        Raises:
            FedctrError: for an unknown name or option, bad files, more partitions than users, or a folder that
                holds another run. Nothing has been written then.
        """
        shelf = strategies_of(experiment.strategies)
        models.find(parse(experiment.model).name)
        if experiment.device == "cuda" and not torch.cuda.is_available():
            raise FedctrError("device: PyTorch finds no GPU here; leave out --device, or choose cpu")
        dataset = open_dataset(experiment.dataset, experiment.path, experiment.on_bad_row, reporter)
        parameters = [name for name, _ in models.create(experiment.model, dataset.schema).named_parameters()]
        for spec, strategy in shelf.items():
            _check_tunable(spec, strategy, experiment.model, parameters)
            if strategy.tunes and experiment.local != EVERYTHING and strategy.held_out() > 0:
                raise FedctrError(f"local: strategy {spec} judges by the latest local samples, which must not be lost")
        if experiment.partitions > dataset.users:
            raise FedctrError(
                f"partitions: {experiment.partitions:,} is more than the {dataset.users:,} users of "
                f"{dataset.name}; a partition needs a user"
            )
        folder = experiment.out or Path("runs") / (
            f"{dataset.name}-{re.sub('[^a-z0-9]+', '-', experiment.model.lower()).strip('-')}"
            f"-{datetime.now():%Y%m%d-%H%M%S}"
        )
        run = cls(experiment, dataset, shelf, folder, reporter)
        run._claim_folder()
        return run

    @property
    def stop_file(self) -> Path:
        """Clients that see this file leave off; it is there only while a run is being stopped."""
        return self.folder.absolute() / ".stop"

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

    def published_facts(self, seed: int) -> dict[str, Any]:
        """What ``published.json`` of one seed says."""
        facts: dict[str, Any] = json.loads((self.folder / "published" / f"seed-{seed}" / "published.json").read_text())
        return facts

    def cell(self, part: Part, spec: str, seed: int) -> Path:
        """Where the rows of one strategy and seed are kept; a strategy whose code has changed has another place."""
        strategy = self.strategies[spec]
        code = " ".join([repr(strategy), *(fingerprint(type(part)) for part in strategy.components())])
        slug = re.sub("[^a-z0-9]+", "-", spec.lower()).strip("-")[:60]
        digest = hashlib.sha256(code.encode()).hexdigest()[:6]
        return self.folder / "cells" / f"{part}-{slug}-{digest}-seed{seed}.parquet"

    def kept_published(self, seed: int) -> Published | None:
        """What the server published for one seed, if it has already."""
        folder = self.folder / "published" / f"seed-{seed}"
        return Published.load(folder)[0] if folder.is_dir() else None

    def keep_published(self, published: Published, facts: dict[str, Any], seed: int) -> None:
        """Put what the server published for one seed into ``published/seed-N``."""
        folder = self.folder / "published" / f"seed-{seed}"

        def write(fresh: Path) -> None:
            fresh.mkdir()
            published.save(fresh, facts)

        self.write(folder, write)

    def write(self, file: Path, write: Callable[[Path], object]) -> None:
        """Have a file or folder written under another name, which a run that is killed leaves to the next one.

        Args:
            file: below the run folder.
            write: gets the path to write to.
        """
        fresh = _fresh(file)
        with _writing(file):
            file.parent.mkdir(exist_ok=True)
            try:
                _remove(fresh)
                write(fresh)
                fresh.replace(file)
            except BaseException:
                _remove(fresh)
                raise

    def log(self, line: str) -> None:
        """Add a line to ``log.txt``."""
        with _writing(self.folder / "log.txt") as file, file.open("a", encoding="utf-8") as text:
            text.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {line}\n")

    def _science(self) -> dict[str, Any]:
        """What determines the results to the bit, but for the strategies' code, as JSON gives it back."""
        model = parse(self.experiment.model).name
        science = {
            **self.experiment.science(),
            "content_hash": self.dataset.content_hash,
            "model_code": fingerprint(models.find(model)),
            "cloud_version": VERSION,
            "versions": {name: importlib.metadata.version(name) for name in ("fedctr", "torch")},
        }
        value: dict[str, Any] = json.loads(json.dumps(science))
        return value

    def _claim_folder(self) -> None:
        science = self._science()
        identity = self.folder / "identity.json"
        try:
            # identity.json is what is written first, so a run stopped earlier than that left nothing else.
            begun = identity.is_file()
            others = not begun and any(child != _fresh(identity) for child in self.folder.iterdir())
        except FileNotFoundError:
            begun = others = False
        except NotADirectoryError:
            raise FedctrError(f"{self.folder}: is a file, not a folder; choose another --out") from None
        except OSError as error:
            raise FedctrError(f"{self.folder}: cannot be read ({error.strerror}); choose another --out") from None
        if others:
            raise FedctrError(f"{self.folder}: holds other files; choose another --out")
        if begun and _read_json(identity) != science:
            raise FedctrError(f"{self.folder}: holds another run; choose another --out or delete the folder")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FedctrError(f"{self.folder}: cannot be created ({error.strerror}); choose another --out") from None
        self.write(identity, lambda fresh: fresh.write_text(json.dumps(science, indent=1) + "\n", encoding="utf-8"))
        with _writing(self.folder / "cells") as cells:
            cells.mkdir(exist_ok=True)
        self.stop_file.unlink(missing_ok=True)
        toml = self.experiment.to_toml()
        self.write(self.folder / "config.toml", lambda fresh: fresh.write_text(toml, encoding="utf-8"))


def _check_tunable(spec: str, strategy: ClientStrategy, model: str, parameters: list[str]) -> None:
    try:
        trainable_of(strategy, parameters)
        share_held_out(strategy)
    except ValueError as error:
        raise FedctrError(f"strategy {spec!r} with model {model!r}: {error}") from None
    except (Exception, SystemExit):  # a stranger's hook that fails is reported by the client, with the user
        return


@contextmanager
def _writing(file: Path) -> Iterator[Path]:
    try:
        yield file
    except OSError as error:
        raise FedctrError(f"{file}: cannot be written ({error.strerror or error})") from error


def _fresh(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
