"""Federated training as a TOML file, the command line and Python all describe it in the same words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, ValidationError, field_validator
from pydantic import model_validator as validator

from fedctr.aggregation import Aggregation
from fedctr.config import LOGISTICS, SplitTable, first_fault
from fedctr.data.loader import own_split
from fedctr.data.split import SplitRule
from fedctr.errors import FedctrError
from fedctr.participation import Participation
from fedctr.privacy import Privacy


class Training(BaseModel):
    """Training of a global model by rounds, in which users' devices send what their local steps have changed.

    Attributes:
        dataset: the data set, such as ``movielens-100k``.
        path: its official files, a folder or an archive; None for those that ``fedctr data get`` fetched.
        model: the click model, such as ``din`` or ``din[embedding=16]``.
        aggregation: how the server makes a new model of a round: ``fedavg``, ``fedadam[eta=0.01]``, ``fedyogi``,
            ``fedprox[proximal_mu=0.1]``, ``fedmedian``, ``krum``, ``reptile[step=0.5]`` or ``per-fedavg[step=0.5]``.
        strategy: the client strategy of the local steps, such as ``label-correction``.
        rounds: how many.
        learning_rate: step size of the local steps.
        epochs: passes over the local samples in a round.
        batch_size: samples in a local step.
        users_per_round: share of the users that are sampled for a round.
        dropout: how likely a sampled user never replies.
        stragglers: how likely a user that replies has got through one epoch only.
        personal: patterns of the names of parameters that stay on the devices between rounds, such as
            ``deep.layers.*`` (FedPer: Arivazhagan et al., arXiv 1912.00818). The published model has the mean of all
            users' in their place.
        alternate: whether a device first tunes its personal parameters for all epochs, and the shared ones then
            (FedRep: Collins et al., ICML 2021, arXiv 2102.07078).
        seeds: how many; each has its own model, samples of users and shuffles.
        partitions: simulated Flower clients, over which the users are spread.
        backend: ``ray`` runs clients in parallel processes, ``inline`` one after the other in this process.
        ray_address: HOST:PORT of an existing Ray cluster; None for that in ``$RAY_ADDRESS``, or else for one of our
            own on this machine.
        round_seconds: after so long a round goes on without the clients that have not replied.
        out: the run folder; None for a new one below ``runs/``.
        split: how each user's samples are split in time; None for the data set's own protocol.
        privacy: clipping and noise; None for neither.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str = "movielens-100k"
    path: Path | None = None
    model: str = "din"
    aggregation: str = "fedavg"
    strategy: str = "fine-tuning"
    rounds: StrictInt = Field(default=100, ge=1)
    learning_rate: StrictFloat = Field(default=0.1, gt=0, allow_inf_nan=False)
    epochs: StrictInt = Field(default=1, ge=1)
    batch_size: StrictInt = Field(default=32, ge=2, le=4096)
    users_per_round: StrictFloat = Field(default=1.0, gt=0, le=1)
    dropout: StrictFloat = Field(default=0.0, ge=0, lt=1)
    stragglers: StrictFloat = Field(default=0.0, ge=0, le=1)
    personal: tuple[str, ...] = ()
    alternate: bool = False
    seeds: StrictInt = Field(default=3, ge=1)
    partitions: StrictInt = Field(default=4, ge=1)
    backend: Literal["ray", "inline"] = "ray"
    ray_address: str | None = None
    round_seconds: StrictFloat = Field(default=3600.0, gt=0)
    out: Path | None = None
    split: SplitTable | None = None
    privacy: Privacy | None = None

    @field_validator("personal", mode="before")
    @classmethod
    def _split_personal(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @validator(mode="after")
    def _fits_together(self) -> "Training":
        aggregation = Aggregation(self.aggregation, self.privacy)
        if self.stragglers and self.epochs < 2:
            raise FedctrError("stragglers: a slow user gets through one epoch only; give epochs at least 2")
        if aggregation.last_epoch and self.epochs < 2:
            raise FedctrError(
                f"aggregation {self.aggregation}: users adapt for all epochs but the last; give epochs at least 2"
            )
        if self.alternate and not self.personal:
            raise FedctrError("alternate: there is nothing to alternate with; name the personal parameters")
        if self.privacy and self.personal:
            raise FedctrError(
                "privacy: the mean of personal parameters would be published without noise; leave one out"
            )
        return self

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str = "training") -> "Training":
        """Check keys and values.

        Args:
            values: keys as in a file.
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

    def to_toml(self) -> str:
        """The resolved configuration, every default spelt out."""
        return tomli_w.dumps(self._resolved().model_dump(mode="json", exclude_none=True))

    @property
    def participation(self) -> Participation:
        """Who takes part in a round."""
        return Participation(self.users_per_round, self.dropout, self.stragglers)

    def science(self) -> dict[str, Any]:
        """What determines the results, to the bit."""
        by_user = Aggregation(self.aggregation, self.privacy).by_user
        logistics = LOGISTICS | {"round_seconds"}
        return self._resolved().model_dump(mode="json", exclude=logistics if by_user else logistics - {"partitions"})

    @property
    def rule(self) -> SplitRule:
        """How the samples are split: as the training says, or else by the data set's own protocol.

        Raises:
            FedctrError: for an unknown data set.
        """
        return self.split or own_split(self.dataset)

    def _resolved(self) -> "Training":
        return self.model_copy(update={"split": self.rule})
