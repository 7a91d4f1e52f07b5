"""A federated training and its folder, from which it goes on after the last round that was finished."""

import importlib.metadata
import json
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fedctr.cloud import checked_global_ctr
from fedctr.composition import JUDGING, strategy_of
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.split import Split, split
from fedctr.errors import FedctrError
from fedctr.federated.aggregation import Aggregation
from fedctr.federated.checkpoint import Checkpoint
from fedctr.federated.personal import personal_of
from fedctr.federated.settings import Training
from fedctr.fingerprint import fingerprint
from fedctr.folder import RunFolder, check_partitions, new_folder, read_json, write_whole
from fedctr.messages import Failure
from fedctr.models.model import models
from fedctr.progress import Reporter
from fedctr.published import Published
from fedctr.registry import parse
from fedctr.strategy import ClientStrategy, code_of, overrides
from fedctr.tuning import check_tuning

VERSION = 1  # raise it when the same settings train another model


@dataclass(eq=False)
class TrainingRun(RunFolder):
    """A training whose every part has been checked, and the folder that its results go to.

    Attributes:
        training: the configuration.
        dataset: all samples, memory-mapped.
        parts: how they are split.
        global_ctr: of their training parts.
        strategy: of the local steps.
        personal: names of the parameters that stay on the devices.
        folder: the run folder.
        reporter: hears of progress.
        failures: what went wrong at clients.
        stop: set when the user interrupts the run.
    """

    training: Training
    dataset: Dataset
    parts: Split
    global_ctr: float
    strategy: ClientStrategy
    personal: tuple[str, ...]
    folder: Path
    reporter: Reporter
    failures: list[Failure] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, training: Training, reporter: Reporter) -> "TrainingRun":
        """Check everything that can be checked before the work starts, then lay out the run folder.

        Raises:
            FedctrError: for an unknown name or option, bad files, more partitions than users, or a folder that
                holds another run. Nothing has been written then.
        """
        strategy = strategy_of(training.strategy)
        if not strategy.tunes:
            raise FedctrError(f"strategy: {training.strategy} changes nothing, so nothing would be trained")
        if any(overrides(strategy, hook) for hook in JUDGING):
            raise FedctrError(
                f"strategy: {training.strategy} chooses what to score by, and in a round nothing is scored"
            )
        models.find(parse(training.model).name)
        dataset = open_dataset(training.dataset, training.path, training.on_bad_row, reporter)
        model = models.create(training.model, dataset.schema)
        personal = personal_of(training.personal, model, training.model)
        parameters = dict(model.named_parameters())
        shared = [name for name in parameters if name not in personal]
        for tuned in [shared, personal] if training.alternate else [shared]:
            try:
                check_tuning(strategy, {name: parameters[name] for name in tuned})
            except ValueError as error:
                raise FedctrError(f"strategy {training.strategy} with model {training.model}: {error}") from None
        check_partitions(training.partitions, dataset)
        parts = split(dataset, training.rule)
        folder = training.out or new_folder(f"train-{dataset.name}", training.model)
        global_ctr = checked_global_ctr(dataset, parts)
        run = cls(training, dataset, parts, global_ctr, strategy, personal, folder, reporter)
        run.claim(run._identity(), training.to_toml())
        return run

    @property
    def seeds(self) -> range:
        """Every seed of the run."""
        return range(self.training.seeds)

    @property
    def rounds(self) -> pd.DataFrame:
        """All curves, as in ``rounds.csv``."""
        return pd.read_csv(self.folder / "rounds.csv")

    def aggregation(self) -> Aggregation:
        """A fresh one, which remembers nothing."""
        return Aggregation(self.training.aggregation, self.training.privacy)

    def last_checkpoint(self, seed: int) -> Checkpoint | None:
        """Where to go on with a seed; None if it has not begun."""
        found = self._checkpoints(seed)
        return Checkpoint.load(found[-1]) if found else None

    def keep_checkpoint(self, checkpoint: Checkpoint, seed: int) -> None:
        """Keep the state after a round in the place of the one before."""
        before = self._checkpoints(seed)
        folder = self._checkpoint_folder(seed) / f"round-{checkpoint.number:06d}"
        write_whole(folder, checkpoint.save)
        self._write_rounds()
        for old in before:
            shutil.rmtree(old)

    def personal_file(self, seed: int) -> Path:
        """Where the devices of a seed keep their personal parameters."""
        return self.folder.absolute() / "personal" / f"seed-{seed}.npy"

    def publish(self, checkpoint: Checkpoint, seed: int) -> None:
        """Put the best model of a seed where ``fedctr bench --published`` finds it."""
        best = checkpoint.best_row(self.training.best_by)
        published = Published.from_state(
            self.training.model, self.dataset.schema, self.global_ctr, dict(checkpoint.best)
        )
        facts = {
            "seed": seed,
            "training": self.training.science(),
            "best_round": best["round"],
            "validation": [{name: row[name] for name in ("log_loss", "auc")} for row in checkpoint.curve],
        }
        self.keep_published(published, facts, seed)

    def _write_rounds(self) -> None:
        last = [self._checkpoints(seed)[-1:] for seed in self.seeds]
        curves = [
            pd.DataFrame(read_json(folder / "round.json")["curve"]).assign(seed=seed)
            for seed, found in zip(self.seeds, last, strict=True)
            for folder in found
        ]
        table = pd.concat(curves)
        table = table[["seed", *(name for name in table.columns if name != "seed")]]
        write_whole(self.folder / "rounds.csv", lambda file: table.to_csv(file, index=False))

    def _checkpoint_folder(self, seed: int) -> Path:
        return self.folder / "checkpoints" / f"seed-{seed}"

    def _checkpoints(self, seed: int) -> list[Path]:
        return sorted(self._checkpoint_folder(seed).glob("round-*"))

    def _identity(self) -> dict[str, Any]:
        """What determines the results to the bit, as JSON gives it back."""
        identity = {
            **self.training.science(),
            "content_hash": self.dataset.content_hash,
            "model_code": fingerprint(models.find(parse(self.training.model).name)),
            "strategy_code": code_of(self.strategy),
            "training_version": VERSION,
            "versions": {name: importlib.metadata.version(name) for name in ("fedctr", "flwr", "torch")},
        }
        value: dict[str, Any] = json.loads(json.dumps(identity))
        return value
