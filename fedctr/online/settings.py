"""An A/B test in the words of a TOML file and of Python; the command line has some of them as options."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StrictBool, StrictFloat, StrictInt, Tag, field_validator
from pydantic import model_validator as validator

from fedctr.cloud import CloudTraining
from fedctr.config import LOGISTICS
from fedctr.errors import FedctrError
from fedctr.recipe import Optimiser, Recipe
from fedctr.settings import Settings, form_by
from fedctr.verdict import REFERENCE

FINE_TUNING = "fine-tuning"


@dataclass(frozen=True)
class WorldTable:
    """What both kinds of world have in common.

    Attributes:
        candidates: items that retrieval finds for an arrival.
        shown: how many of them are shown.
        arrival: the median user's probability to arrive on a day.
        activity: standard deviation of the users' log-odds of arriving.
        position_bias: a place, counted from 1, is looked at with probability ``place ** -position_bias``.
        precision: how much retrieval goes by the user's true log-odds of a click; 0 goes by popularity alone.
        turn: by how many radians a day a user's own taste turns towards another one.
        new_items: items that join the catalogue every day.
    """

    candidates: StrictInt = 60
    shown: StrictInt = 10
    arrival: StrictFloat = 0.5
    activity: StrictFloat = 1.0
    position_bias: StrictFloat = 0.5
    precision: StrictFloat = 0.3
    turn: StrictFloat = 0.02
    new_items: StrictInt = 0

    def __post_init__(self) -> None:
        if not 1 <= self.shown <= self.candidates:
            raise ValueError(f"shown {self.shown} must be from 1 to candidates {self.candidates}")
        if not 0 < self.arrival < 1:
            raise ValueError(f"arrival {self.arrival} must be a probability above 0 and below 1")
        for name in ("activity", "position_bias", "precision", "turn", "new_items"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} {getattr(self, name)} must be a number of at least 0")


@dataclass(frozen=True)
class SyntheticTable(WorldTable):
    """A world drawn like the data set ``synthetic``, whose users and items it has.

    Attributes:
        kind: tells it from a replay.
        users: how many.
        items: in the catalogue on the first day.
        ctr: of items shown at the first place by popularity alone.
        drift: standard deviation of the user intercept in log-odds.
        taste: standard deviation of the affinity of user and item in log-odds.
    """

    kind: Literal["synthetic"] = "synthetic"
    users: StrictInt = 1000
    items: StrictInt = 500
    ctr: StrictFloat = 0.3
    drift: StrictFloat = 0.8
    taste: StrictFloat = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.items < self.candidates:
            raise ValueError(f"items {self.items} must be at least candidates {self.candidates}")


@dataclass(frozen=True)
class ReplayTable(WorldTable):
    """A world of the users and items of a log, who click as a model that was fitted to it says.

    Attributes:
        kind: tells it from a generated world.
        dataset: the log, such as ``movielens-100k``.
        copies: how many users there are with the tastes and features of each user of the log.
        factors: dimensions of a taste in the fitted model.
    """

    kind: Literal["replay"] = "replay"
    dataset: str = "movielens-100k"
    copies: StrictInt = 1
    factors: StrictInt = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("copies", "factors"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")


AnyWorld = Annotated[
    Annotated[SyntheticTable, Tag("synthetic")] | Annotated[ReplayTable, Tag("replay")],
    Discriminator(form_by("kind", "synthetic"), "world_kind", "kind should be 'synthetic' or 'replay'"),
]


@dataclass(frozen=True)
class Arm:
    """What the devices of one arm do every night.

    Attributes:
        strategy: the client strategy, such as ``label-correction[variant=shift]``.
        name: what tables call the arm; the strategy if empty.
        learning_rate: step size of fine-tuning.
        epochs: passes over the device's samples.
    """

    strategy: str
    name: str = ""
    learning_rate: StrictFloat = 0.03
    epochs: StrictInt = 3

    def __post_init__(self) -> None:
        if not self.strategy:
            raise ValueError("strategy must be named")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate {self.learning_rate} must be a number above 0")
        if self.epochs < 1:
            raise ValueError(f"epochs {self.epochs} must be at least 1")
        object.__setattr__(self, "name", self.name or self.strategy)


class ABTest(Settings):
    """A simulated A/B test of what devices do with their own samples.

    Days are counted from the first day of the test, day 0. Before it come ``warm_up_days``, on which everybody is shown
    what retrieval finds in its own order, and ``pre_days``, on which all candidates are ranked by the model that the
    cloud has trained on the warm-up. The arms differ from day 0 on.

    Attributes:
        world: who arrives, what is found for them, and what they click.
        path: the official files of the data set that is replayed; None for those that ``fedctr data get`` fetched.
        model: the click model, such as ``din`` or ``din[embedding=16]``.
        arms: what the devices of each arm do, as tables or by the names of strategies; ``no-fine-tuning``, the control,
            must be among them.
        aa: whether all arms do what the control does, so that nothing but chance tells them apart.
        days: of the test.
        pre_days: before the test, with the published model in all arms.
        warm_up_days: before those, without a model, at least 2.
        retrain_every: after so many days of the test, and before its first day, the cloud trains the model anew on all
            logs, the last day of which tells it when to stop; 0 for the model of the warm-up throughout.
        seed: of the world, of who is in which arm, and of everything that is trained.
        salt: another salt puts users into other arms, in the same world.
        batch_size: samples in a step of fine-tuning.
        optimiser: ``sgd`` or ``adam``, what moves the weights in fine-tuning.
        partitions: simulated Flower clients, over which the users are spread.
        backend: ``ray`` runs clients in parallel processes, ``inline`` one after the other in this process.
        ray_address: HOST:PORT of an existing Ray cluster; None for that in ``$RAY_ADDRESS``, or else for one of our
            own on this machine.
        out: the run folder; None for a new one below ``runs/``.
        cloud: how the global model is trained.
    """

    command: ClassVar[str] = "fedctr abtest"
    tables: ClassVar[Mapping[str, Mapping[str, type]]] = {
        "arms": {"": Arm},
        "cloud": {"": CloudTraining},
        "world": {'kind = "synthetic"': SyntheticTable, 'kind = "replay"': ReplayTable},
    }

    world: AnyWorld = SyntheticTable()
    path: Path | None = None
    model: str = "din"
    arms: tuple[Arm, ...] = (Arm(REFERENCE), Arm("fine-tuning"), Arm("label-correction"))
    aa: StrictBool = False
    days: StrictInt = Field(default=14, ge=1)
    pre_days: StrictInt = Field(default=7, ge=0)
    warm_up_days: StrictInt = Field(default=7, ge=2)
    retrain_every: StrictInt = Field(default=7, ge=0)
    seed: StrictInt = Field(default=0, ge=0)
    salt: str = ""
    batch_size: StrictInt = Field(default=32, ge=2, le=4096)
    optimiser: Optimiser = "sgd"
    partitions: StrictInt = Field(default=4, ge=1)
    backend: Literal["ray", "inline"] = "ray"
    ray_address: str | None = None
    out: Path | None = None
    cloud: CloudTraining = CloudTraining()

    @field_validator("arms", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return tuple({"strategy": arm} if isinstance(arm, str) else arm for arm in value)

    @validator(mode="after")
    def _fits_together(self) -> "ABTest":
        for name, count in Counter(arm.name for arm in self.arms).items():
            if count > 1:
                raise FedctrError(f"arms: {count} are named {name!r}; give each a name of its own")
        if len(self.arms) < 2:
            raise FedctrError("arms: a test compares at least two")
        if not any(arm.strategy == REFERENCE for arm in self.arms):
            raise FedctrError(f"arms: the control is missing; add {REFERENCE}")
        return self

    @property
    def control(self) -> Arm:
        """The arm that the others are compared with."""
        return next(arm for arm in self.arms if arm.strategy == REFERENCE)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The arms that are compared, each with its baseline: the control, and plain fine-tuning if an arm does it."""
        plain = [arm.name for arm in self.arms if arm.strategy == FINE_TUNING][:1]
        others = [arm.name for arm in self.arms if arm != self.control]
        against = [(arm, baseline) for baseline in plain for arm in others if arm != baseline]
        return [(arm, self.control.name) for arm in others] + against

    @property
    def all_days(self) -> range:
        """Every day that is simulated, from the first of the warm-up to the last of the test."""
        return range(-self.pre_days - self.warm_up_days, self.days)

    def published_on(self, day: int) -> int | None:
        """The day before which the model in use on a day was published; None on days of the warm-up."""
        if day < -self.pre_days:
            return None
        return day - day % self.retrain_every if self.retrain_every and day >= 0 else -self.pre_days

    def stretch(self, day: int) -> range:
        """The days from a day on, until something new is published or the test begins."""
        later = range(day + 1, self.days)
        published = self.published_on(day)
        return range(
            day, next((each for each in later if each == 0 or self.published_on(each) != published), self.days)
        )

    def on_device(self, arm: Arm, day: int) -> str:
        """The strategy of an arm's devices on a day."""
        return REFERENCE if self.aa or day < 0 else arm.strategy

    def recipe(self, arm: Arm) -> Recipe:
        """How the devices of an arm fine-tune."""
        return Recipe(self.seed, arm.learning_rate, arm.epochs, self.batch_size, self.optimiser)

    def science(self) -> dict[str, Any]:
        """What determines the results, to the bit."""
        return self.model_dump(mode="json", exclude=LOGISTICS)
