"""An experiment: what an experiment file, the command line and Python all say in the same words."""

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, ValidationError, field_validator

from fedctr.cloud import CloudTraining
from fedctr.data.split import Fractions
from fedctr.errors import FedctrError
from fedctr.privacy import Privacy
from fedctr.registry import split_specs

# Keys that change where and how fast a run happens, but not one bit of its results; of published the content counts.
LOGISTICS = {"path", "partitions", "backend", "ray_address", "out", "published"}


class Experiment(BaseModel):
    """A benchmark of client strategies on one data set with one model.

    Attributes:
        dataset: the data set, such as ``movielens-100k``.
        path: its official files, a folder or an archive; None for those that ``fedctr data get`` fetched.
        model: the click model, such as ``din`` or ``din[embedding=16]``.
        strategies: client strategies, such as ``label-correction[variant=shift]``.
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
        split: how each user's samples are split in time.
        published: the folder of a run of ``fedctr train`` or ``fedctr bench`` whose global models are taken, instead
            of training some in the cloud.
        cloud: how the global model is trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str = "movielens-100k"
    path: Path | None = None
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
    split: Fractions = Fractions()
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
        return tuple(json.loads(f"[{value}]")) if isinstance(value, str) else value

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

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str = "experiment") -> "Experiment":
        """Check keys and values.

        Args:
            values: keys as in an experiment file.
            where: names the source in errors.

        Raises:
            FedctrError: for the first wrong key or value, with the nearest key or what was expected.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise FedctrError(f"{where}: {first_fault(error, cls)}") from None
        except FedctrError as error:
            raise FedctrError(f"{where}: {error}") from None

    @classmethod
    def read(cls, file: Path) -> dict[str, Any]:
        """The keys and values of an experiment file.

        Raises:
            FedctrError: when it cannot be read, or is not TOML.
        """
        try:
            return tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise FedctrError(f"{file}: cannot be read ({error})") from None
        except tomllib.TOMLDecodeError as error:
            raise FedctrError(f"{file}: not TOML: {error}") from None

    def to_toml(self) -> str:
        """The resolved configuration, every default spelt out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def science(self) -> dict[str, Any]:
        """What determines the results, to the bit."""
        return self.model_dump(mode="json", exclude=LOGISTICS)


def first_fault(error: ValidationError, settings: type[BaseModel]) -> str:
    """The first fault in one line.

    Args:
        error: what checking the settings raised.
        settings: their class, whose keys may have been meant.
    """
    fault = error.errors()[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        tables: dict[str, type] = {"split": Fractions, "cloud": CloudTraining, "privacy": Privacy}
        fields = tables.get(str(fault["loc"][0]))
        known = list(settings.model_fields) if fields is None else [field.name for field in dataclasses.fields(fields)]
        near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {key!r}; {hint}"
    message = fault["msg"].removeprefix("Value error, ")
    found = "" if fault["type"] == "value_error" else f", found {fault['input']!r}"
    return f"{key}: {message}{found}"
