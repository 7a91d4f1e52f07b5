"""An experiment in the words of an experiment file and of Python; the command line has most of them as options."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    Tag,
    field_validator,
)

from fedctr.cloud import CloudTraining
from fedctr.data.loader import own_split
from fedctr.data.reading import OnBadRow
from fedctr.data.split import Days, Fractions, SplitRule
from fedctr.recipe import Optimiser
from fedctr.registry import split_specs
from fedctr.retention import EVERYTHING, Retention
from fedctr.settings import Settings, form_by

# Keys that change where and how fast a run happens, but not one bit of its results; of published the content counts.
LOGISTICS = {"path", "partitions", "backend", "ray_address", "out", "published"}


SplitTable = Annotated[
    Annotated[Fractions, Tag("shares")] | Annotated[Days, Tag("days")],
    Discriminator(form_by("unit", "shares"), "split_unit", "unit should be 'shares' or 'days'"),
]


class OnDataset(Settings):
    """What an experiment and federated training have in common: a data set, and how its samples are split.

    Attributes:
        dataset: the data set, such as ``movielens-100k``.
        split: how each user's samples are split in time; None for the data set's own protocol. Either class declares it
            where it stands among its keys.
    """

    tables: ClassVar[Mapping[str, Mapping[str, type]]] = {
        "split": {'unit = "shares"': Fractions, 'unit = "days"': Days},
    }

    dataset: str = "movielens-100k"
    if TYPE_CHECKING:
        split: SplitTable | None

    @property
    def rule(self) -> SplitRule:
        """How the samples are split: as the settings say, or else by the data set's own protocol.

        Raises:
            FedctrError: for an unknown data set.
        """
        return self.split or own_split(self.dataset)

    def _resolved(self) -> Self:
        return self.model_copy(update={"split": self.rule})


class Experiment(OnDataset):
    """A benchmark of client strategies on one data set with one model.

    Attributes:
        dataset: the data set, such as ``movielens-100k``.
        path: its official files, a folder or an archive; None for those that ``fedctr data get`` fetched.
        on_bad_row: ``stop`` at a malformed row of the files, or ``skip`` it.
        model: the click model, such as ``din`` or ``din[embedding=16]``.
        strategies: client strategies, such as ``label-correction[variant=shift]``; ``all`` stands for every one that is
            installed and fits the model, with its default options.
        seeds: how many; each has its own global model and its own shuffles.
        partitions: simulated Flower clients, over which the users are spread.
        backend: ``ray`` runs clients in parallel processes, ``inline`` one after the other in this process.
        ray_address: HOST:PORT of an existing Ray cluster; None for that in ``$RAY_ADDRESS``, or else for one of our
            own on this machine.
        device: ``cpu`` or ``cuda``, where local fine-tuning is computed; results differ between them in bits.
        out: the run folder; None for a new one below ``runs/``.
        learning_rates: step sizes of fine-tuning; validation chooses among them for each strategy.
        epochs: numbers of epochs; chosen likewise.
        batch_size: samples in a step of fine-tuning.
        optimiser: ``sgd`` or ``adam``, what moves the weights in fine-tuning.
        local: which of its training samples a device still holds when it fine-tunes.
        split: how each user's samples are split in time; None for the data set's own protocol.
        published: the folder of a run of ``fedctr train`` or ``fedctr bench`` whose global models are taken, instead
            of training some in the cloud.
        cloud: how the global model is trained.
    """

    command: ClassVar[str] = "fedctr bench"
    tables: ClassVar[Mapping[str, Mapping[str, type]]] = {
        **OnDataset.tables,
        "local": {"": Retention},
        "cloud": {"": CloudTraining},
    }

    path: Path | None = None
    on_bad_row: OnBadRow = "stop"
    model: str = "din"
    strategies: tuple[str, ...] = ("no-fine-tuning", "fine-tuning", "label-correction")
    seeds: StrictInt = Field(default=3, ge=1)
    partitions: StrictInt = Field(default=4, ge=1)
    backend: Literal["ray", "inline"] = "ray"
    ray_address: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    out: Path | None = None
    learning_rates: tuple[StrictFloat, ...] = Field(default=(0.01, 0.03, 0.1, 0.3), min_length=1)
    epochs: tuple[StrictInt, ...] = Field(default=(1, 3), min_length=1)
    batch_size: StrictInt = Field(default=32, ge=2, le=4096)
    optimiser: Optimiser = "sgd"
    local: Retention = EVERYTHING
    split: SplitTable | None = None
    published: Path | None = None
    cloud: CloudTraining = CloudTraining()

    @field_validator("strategies", mode="before")
    @classmethod
    def _split_strategies(cls, value: object) -> object:
        return tuple(split_specs(value)) if isinstance(value, str) else value

    @field_validator("learning_rates", "epochs", mode="before")
    @classmethod
    def _split_numbers(cls, value: object) -> object:
        # Flower's run configuration holds no lists.
        if not isinstance(value, str):
            return value
        try:
            return tuple(json.loads(f"[{value}]"))
        except ValueError:
            raise ValueError(f"expected numbers separated by commas, found {value!r}") from None

    @field_validator("strategies")
    @classmethod
    def _distinct_strategies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one strategy")
        for name in value:
            if value.count(name) > 1:
                raise ValueError(f"{name} is listed twice")
        return value

    @field_validator("learning_rates")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < rate < float("inf") for rate in value):
            raise ValueError("every learning rate must be a number above 0")
        return tuple(sorted(set(value)))

    @field_validator("epochs")
    @classmethod
    def _at_least_one(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < 1:
            raise ValueError("every number of epochs must be at least 1")
        return tuple(sorted(set(value)))

    def science(self) -> dict[str, Any]:
        """What determines the results, to the bit."""
        return self._resolved().model_dump(mode="json", exclude=LOGISTICS)
