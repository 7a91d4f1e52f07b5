"""An A/B test and its folder, from which it goes on after the last day that was finished."""

import importlib.metadata
import json
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fedctr.cloud import VERSION as CLOUD_VERSION
from fedctr.composition import strategy_of
from fedctr.data.dataset import Dataset
from fedctr.errors import FedctrError
from fedctr.fingerprint import fingerprint
from fedctr.folder import RunFolder, check_partitions, new_folder, write_whole
from fedctr.models.model import models
from fedctr.online.arms import members
from fedctr.online.day import Day
from fedctr.online.log import logged
from fedctr.online.replay import FACTORISING, replay_world
from fedctr.online.settings import ABTest, SyntheticTable
from fedctr.online.synthetic import synthetic_world
from fedctr.online.world import Truth
from fedctr.progress import Reporter
from fedctr.published import Published
from fedctr.registry import parse
from fedctr.run import check_fit
from fedctr.strategy import code_of

VERSION = 2  # raise it when the same settings have another outcome


@dataclass(eq=False)
class OnlineRun(RunFolder):
    """An A/B test whose every part has been checked, and the folder that its results go to.

    Attributes:
        settings: the configuration.
        dataset: the users and items of the world, without samples.
        truth: what clicks are drawn from.
        fit: how well it fits the log that it replays; None in a generated world.
        folder: the run folder.
        reporter: hears of progress.
        shown: what was shown on each day that is finished, in order.
        stop: set when the user interrupts the run.
    """

    settings: ABTest
    dataset: Dataset
    truth: Truth
    fit: dict[str, float] | None
    folder: Path
    reporter: Reporter
    shown: list[pd.DataFrame] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, settings: ABTest, reporter: Reporter) -> "OnlineRun":
        """Check everything that can be checked before the work starts, then lay out the run folder.

        Raises:
            FedctrError: for an unknown name or option, more partitions than users, an arm without users, or a folder
                that holds another run. Nothing has been written then.
        """
        strategies = [strategy_of(arm.strategy) for arm in settings.arms]
        models.find(parse(settings.model).name)
        truth, population, fit = _world(settings, reporter)
        model = models.create(settings.model, population.schema)
        for arm, strategy in zip(settings.arms, strategies, strict=True):
            check_fit(arm.strategy, strategy, settings.model, model)
        check_partitions(settings.partitions, population)
        folder = settings.out or new_folder(f"abtest-{population.name}", settings.model)
        run = cls(settings, population, truth, fit, folder, reporter)
        run._check_arms()
        run.claim(run._identity([code_of(strategy) for strategy in strategies]), settings.to_toml())
        return run

    def lay_out(self) -> None:
        """Leave what clicks are drawn from to the clients, and read what was shown before."""
        write_whole(self.truth_file, self.truth.save)
        self.shown = [
            pd.read_parquet(self.day_folder(day) / "shown.parquet")
            for day in self.settings.all_days
            if self.day_folder(day).is_dir()
        ]

    @property
    def truth_file(self) -> Path:
        """Where simulated clients find what clicks are drawn from."""
        return self.folder.absolute() / "world.npz"

    @property
    def finished(self) -> bool:
        """Whether there is no day left."""
        return self.next_day == self.settings.days

    @property
    def next_day(self) -> int:
        """The first day that is not finished."""
        return self.settings.all_days.start + len(self.shown)

    def day_folder(self, day: int) -> Path:
        """Where a day's rows are kept."""
        return self.folder / "days" / f"day{day:+d}"

    def keep_day(self, day: int, parts: list[tuple[int, Day]]) -> None:
        """Keep what happened on a day, whole or not at all.

        Args:
            day: which one.
            parts: what the clients replied, each for an arm.
        """
        names = [arm.name for arm in self.settings.arms]
        visits = pd.concat([pd.DataFrame(part.visits).assign(arm=names[arm], day=day) for arm, part in parts])
        shown = pd.concat([pd.DataFrame(part.shown).assign(day=day) for _, part in parts])
        first = ["user", "arm", "day"]
        visits = visits[first + [name for name in visits.columns if name not in first]]
        visits = visits.sort_values("user", ignore_index=True)
        shown = shown.sort_values(["user", "place"], ignore_index=True)

        def write(folder: Path) -> None:
            folder.mkdir()
            visits.to_parquet(folder / "visits.parquet", index=False)
            shown.to_parquet(folder / "shown.parquet", index=False)

        write_whole(self.day_folder(day), write)
        self.shown.append(shown)

    def daily(self, before: int | None = None) -> pd.DataFrame:
        """A row for each user and day of the pre-period and the test on which it arrived, as in ``daily.parquet``.

        Args:
            before: the first day that is left out, at least that of the test; None for all days.
        """
        days = range(-self.settings.pre_days, self.settings.days if before is None else before)
        return pd.concat([pd.read_parquet(self.day_folder(day) / "visits.parquet") for day in days], ignore_index=True)

    def samples(self, before: int | None = None) -> Dataset:
        """Everything that was shown so far, or before a day, in memory."""
        days = len(self.shown) if before is None else before - self.settings.all_days.start
        return logged(self.dataset, self.shown[:days])

    def keep_samples(self) -> Path:
        """Put everything that was shown so far where clients memory-map it, in the place of that of the day before."""
        folder = self.folder.absolute() / "log" / f"before-day{self.next_day:+d}"

        def write(fresh: Path) -> None:
            fresh.mkdir()
            self.samples().save(fresh)

        before = [old for old in folder.parent.glob("before-*") if old != folder]
        if not folder.is_dir():  # a run that was killed has written it already
            write_whole(folder, write)
        for old in before:
            shutil.rmtree(old)
        return folder

    def published_before(self, day: int) -> Published | None:
        """What was published before a day, if it has been already."""
        return self._kept(self._folder_before(day))

    def keep_published_before(self, day: int, published: Published, facts: dict[str, Any]) -> None:
        """Keep what is published before a day."""
        self._keep(published, facts, self._folder_before(day))

    def _folder_before(self, day: int) -> Path:
        return self.folder / "published" / f"before-day{day:+d}"

    def _check_arms(self) -> None:
        everybody = pd.RangeIndex(self.dataset.users).to_numpy()
        for index, arm in enumerate(self.settings.arms):
            if not len(members(self.settings, index, everybody)):
                raise FedctrError(f"arms: no user of {self.dataset.users:,} falls into {arm.name}; give the world more")

    def _identity(self, strategy_code: list[list[str]]) -> dict[str, Any]:
        """What determines the results to the bit, as JSON gives it back."""
        identity = {
            **self.settings.science(),
            "population": self.dataset.content_hash,
            "truth": self.truth.digest,
            "model_code": fingerprint(models.find(parse(self.settings.model).name)),
            "strategy_code": strategy_code,
            "abtest_version": VERSION,
            "cloud_version": CLOUD_VERSION,
            "versions": {name: importlib.metadata.version(name) for name in ("fedctr", "torch")},
        }
        value: dict[str, Any] = json.loads(json.dumps(identity))
        return value


def _world(settings: ABTest, reporter: Reporter) -> tuple[Truth, Dataset, dict[str, float] | None]:
    """What clicks are drawn from, the users and items, and how well that fits a log.

    Raises:
        FedctrError: when there can be no such world, or its click model is of the kind of the arms' model.
    """
    if isinstance(settings.world, SyntheticTable):
        if settings.path is not None:
            raise FedctrError("path: a synthetic world is generated, not read; leave it out")
        return *synthetic_world(settings.world, settings.seed, settings.all_days), None
    name = parse(settings.model).name
    if name in FACTORISING:
        raise FedctrError(
            f"model: {name} has a matrix factorisation within, and so does the world that replays a log, which would "
            "favour it; choose another model"
        )
    return replay_world(settings.world, settings.path, settings.seed, settings.all_days, reporter)
