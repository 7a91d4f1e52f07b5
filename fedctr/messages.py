"""What server and clients send each other, as Flower records.

Down goes what is published with the task; up comes one row per user, never samples, labels or weights.
"""

import json
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedctr.data.dataset import Schema
from fedctr.data.split import Fractions, Part
from fedctr.published import Published

Columns = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Task:
    """What the server asks of a client: one strategy, every trial of it, for all users of the partition.

    Attributes:
        dataset: folder of the memory-mapped data set, which all simulated clients share.
        fractions: how it is split.
        part: the part to score.
        strategy: the strategy, as people type it.
        seed: the run's seed.
        learning_rates: to be tried, each on its own.
        epochs: after which to score, ascending.
        batch_size: samples in a step of fine-tuning.
        stop_file: leave off as soon as this file exists; a simulated client shares the server's disk.
    """

    dataset: str
    fractions: Fractions
    part: Part
    strategy: str
    seed: int
    learning_rates: tuple[float, ...]
    epochs: tuple[int, ...]
    batch_size: int
    stop_file: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a client has no rows.

    Attributes:
        client: the client's partition, counted from 0.
        strategy: the strategy that it ran.
        user: the user it failed at, if it got that far.
        error: what happened, in one line.
    """

    client: int
    strategy: str
    user: str
    error: str

    def __str__(self) -> str:
        """One line naming strategy, client and user."""
        user = f", user {self.user}" if self.user else ""
        return f"strategy {self.strategy}: client {self.client}{user}: {self.error}"


def pack_task(published: Published, task: Task) -> RecordDict:
    """The content of a message to a client."""
    facts = {"spec": published.spec, "schema": asdict(published.schema), "global_ctr": published.global_ctr}
    return RecordDict(
        {
            "model": ArrayRecord(published.model.state_dict()),
            "published": ConfigRecord({"json": json.dumps(facts)}),
            "task": ConfigRecord({"json": json.dumps(asdict(task))}),
        }
    )


def unpack_task(content: RecordDict) -> tuple[Published, Task]:
    """What :func:`pack_task` packed."""
    facts = json.loads(str(content.config_records["published"]["json"]))
    state = content.array_records["model"].to_torch_state_dict()
    published = Published.from_state(facts["spec"], Schema.from_json(facts["schema"]), facts["global_ctr"], dict(state))
    text = json.loads(str(content.config_records["task"]["json"]))
    for name in ("learning_rates", "epochs"):
        text[name] = tuple(text[name])
    return published, Task(**{**text, "fractions": Fractions(**text["fractions"])})


def pack_rows(columns: Columns) -> RecordDict:
    """The content of a reply: columns of equal length, one row per user and trial."""
    return RecordDict({"rows": ArrayRecord({name: Array(values) for name, values in columns.items()})})


def pack_failure(failure: Failure) -> RecordDict:
    """The content of a reply from a client that could not do its task."""
    return RecordDict({"failure": ConfigRecord(asdict(failure))})


def unpack_reply(content: RecordDict) -> pd.DataFrame | Failure:
    """The rows, or why there are none."""
    if "failure" in content:
        fields = content.config_records["failure"]
        return Failure(int(str(fields["client"])), *(str(fields[name]) for name in ("strategy", "user", "error")))
    return pd.DataFrame({name: array.numpy() for name, array in content.array_records["rows"].items()})
