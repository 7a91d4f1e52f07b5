"""Federated training in the words of a TOML file and of Python; the command line has most of them as options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, field_validator
from pydantic import model_validator as validator

from fedctr.config import LOGISTICS, OnDataset, SplitTable
from fedctr.data.reading import OnBadRow
from fedctr.errors import FedctrError
from fedctr.federated.aggregation import Aggregation
from fedctr.federated.participation import Participation
from fedctr.federated.privacy import Privacy
from fedctr.federated.submodels import Averaging
from fedctr.judgement import Judge


class Training(OnDataset):
    """Training of a global model by rounds, in which users' devices send what their local steps have changed.

    Attributes:
        dataset: the data set, such as ``movielens-100k``.
        path: its official files, a folder or an archive; None for those that ``fedctr data get`` fetched.
        on_bad_row: ``stop`` at a malformed row of the files, or ``skip`` it.
        model: the click model, such as ``din`` or ``din[embedding=16]``.
        aggregation: how the server makes a new model of a round: ``fedavg``, ``fedadam[eta=0.01]``, ``fedyogi``,
            ``fedprox[proximal_mu=0.1]``, ``fedmedian``, ``krum``, ``reptile[step=0.5]`` or ``per-fedavg[step=0.5]``.
        averaging: over whom the change of an embedding row is averaged: all ``users`` of a round, or its ``holders``,
            those who have changed it (FedSubAvg: Ding et al., NeurIPS 2022, arXiv 2109.07704).
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
        best_by: what is best on validation in the round whose model is published: its ``log-loss``, as in the cloud, or
            its ``auc``, which may go on rising while the probabilities grow too bold.
        beside_cloud: whether the same model is trained in the cloud too, and scored on test beside what was published.
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

    command: ClassVar[str] = "fedctr train"
    tables: ClassVar[Mapping[str, Mapping[str, type]]] = {**OnDataset.tables, "privacy": {"": Privacy}}

    path: Path | None = None
    on_bad_row: OnBadRow = "stop"
    model: str = "din"
    aggregation: str = "fedavg"
    averaging: Averaging = "users"
    strategy: str = "fine-tuning"
    rounds: StrictInt = Field(default=100, ge=1)
    learning_rate: StrictFloat = Field(default=0.1, gt=0, allow_inf_nan=False)
    epochs: StrictInt = Field(default=1, ge=1)
    batch_size: StrictInt = Field(default=32, ge=2, le=4096)
    users_per_round: StrictFloat = Field(default=1.0, gt=0, le=1)
    dropout: StrictFloat = Field(default=0.0, ge=0, lt=1)
    stragglers: StrictFloat = Field(default=0.0, ge=0, le=1)
    personal: tuple[str, ...] = ()
    alternate: StrictBool = False
    best_by: Judge = "log-loss"
    beside_cloud: StrictBool = False
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
        if self.partitions < aggregation.fewest_partitions:
            raise FedctrError(
                f"partitions: {self.aggregation} needs at least {aggregation.fewest_partitions}, which are 3 and 2 "
                f"for each malicious one; found {self.partitions}"
            )
        if self.alternate and not self.personal:
            raise FedctrError("alternate: there is nothing to alternate with; name the personal parameters")
        if self.privacy and self.personal:
            raise FedctrError(
                "privacy: the mean of personal parameters would be published without noise; leave one out"
            )
        if self.privacy and self.averaging == "holders":
            raise FedctrError(
                "privacy: its noise is meant for the mean over all users of a round, and holders would be counted "
                "without any; leave averaging at users"
            )
        return self

    @property
    def participation(self) -> Participation:
        """Who takes part in a round."""
        return Participation(self.users_per_round, self.dropout, self.stragglers)

    def science(self) -> dict[str, Any]:
        """What determines the results, to the bit."""
        by_user = Aggregation(self.aggregation, self.privacy).by_user
        logistics = LOGISTICS | {"round_seconds", "beside_cloud"}
        return self._resolved().model_dump(mode="json", exclude=logistics if by_user else logistics - {"partitions"})
