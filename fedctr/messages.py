"""What server and clients send each other, as Flower records.

Down goes the task, and what is published where a worker does not have it yet; up comes one row per user: its metrics,
how many samples it has, and how many of them are positive. Neither samples nor weights come up; nor does a label, but
where these counts give it away, since all samples of a user are of one class.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import safetensors.torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from fedctr.data.dataset import Schema
from fedctr.data.split import SplitRule, rule_of
from fedctr.judgement import Columns
from fedctr.published import Published
from fedctr.retention import EVERYTHING, Retention
from fedctr.task import Task


@dataclass(frozen=True, kw_only=True)
class CellTask(Task):
    """What the server asks of a client: one strategy, every trial of it, for all users of the partition.

    Attributes:
        dataset: folder of the memory-mapped data set, which all simulated clients share.
        rule: how it is split.
        strategy: the strategy, as people type it.
        local: which of its training samples a device still holds.
        stop_file: leave off as soon as this file exists; a simulated client shares the server's disk.
    """

    dataset: str
    rule: SplitRule
    strategy: str
    local: Retention = EVERYTHING
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


def complaint(failures: Sequence[Failure], left: str) -> str:
    """What failed, and what is left all the same, in one line; empty where nothing did."""
    if not failures:
        return ""
    others = f" ({len(failures) - 1} more in log.txt)" if len(failures) > 1 else ""
    return f"{failures[0]}{others}; {left}"


@dataclass(frozen=True)
class WeightsWanted:
    """A worker has not seen yet what a task starts from.

    Attributes:
        worker: tells one worker process from another.
    """

    worker: str


def digest(published: Published) -> str:
    """A name for what is published: equal names, equal bits."""
    facts = json.dumps(_facts(published), sort_keys=True)
    return hashlib.sha256(facts.encode() + safetensors.torch.save(published.model.state_dict())).hexdigest()


def pack_task(task: CellTask, digest: str, published: Published | None = None) -> RecordDict:
    """The content of a message to a client.

    Args:
        task: what to do.
        digest: the name of what to start from.
        published: that itself, for a worker that does not have it yet.
    """
    content = RecordDict({"task": ConfigRecord({"json": json.dumps(asdict(task)), "published": digest})})
    if published:
        pack_published(content, published)
    return content


def pack_published(content: RecordDict, published: Published) -> None:
    """Add to a message what :func:`unpack_published` takes out."""
    content["published"] = ConfigRecord({"json": json.dumps(_facts(published))})
    content["model"] = ArrayRecord(published.model.state_dict())


def share_of_published(content: RecordDict) -> RecordDict:
    """What :func:`pack_published` has added to a message; empty if it has not."""
    return RecordDict({key: content[key] for key in ("published", "model") if key in content})


def name_of_published(content: RecordDict) -> str:
    """The name of what a task starts from."""
    return str(content.config_records["task"]["published"])


def unpack_task(content: RecordDict) -> tuple[CellTask, str]:
    """The task, and the name of what to start from."""
    record = content.config_records["task"]
    text = json.loads(str(record["json"]))
    for name in ("learning_rates", "epochs"):
        text[name] = tuple(text[name])
    parts = {"rule": rule_of(text["rule"]), "local": Retention(**text["local"])}
    return CellTask(**text | parts), name_of_published(content)


def unpack_published(content: RecordDict) -> Published | None:
    """What is published, if it came along with the task."""
    if "model" not in content:
        return None
    facts = json.loads(str(content.config_records["published"]["json"]))
    state = content.array_records["model"].to_torch_state_dict()
    return Published.from_state(facts["spec"], Schema.from_json(facts["schema"]), facts["global_ctr"], dict(state))


def _facts(published: Published) -> dict[str, Any]:
    return {"spec": published.spec, "schema": asdict(published.schema), "global_ctr": published.global_ctr}


def pack_rows(columns: Columns) -> RecordDict:
    """The content of a reply: columns of equal length, one row per user and trial."""
    return RecordDict({"rows": ArrayRecord({name: Array(values) for name, values in columns.items()})})


def pack_failure(failure: Failure) -> RecordDict:
    """The content of a reply from a client that could not do its task."""
    return RecordDict({"failure": ConfigRecord(asdict(failure))})


def pack_weights_wanted(wanted: WeightsWanted) -> RecordDict:
    """The content of a reply from a worker that cannot start without the weights."""
    return RecordDict({"weights-wanted": ConfigRecord(asdict(wanted))})


def wants_weights(reply: Message) -> bool:
    """Whether the worker that replies could not start without the weights."""
    return not reply.has_error() and "weights-wanted" in reply.content


def unpack_failure(content: RecordDict) -> Failure | None:
    """Why there is nothing else in a reply, if it says so."""
    if "failure" not in content:
        return None
    fields = content.config_records["failure"]
    return Failure(int(str(fields["client"])), *(str(fields[name]) for name in ("strategy", "user", "error")))


def unpack_reply(content: RecordDict) -> pd.DataFrame | Failure | WeightsWanted:
    """The rows, or why there are none."""
    if "weights-wanted" in content:
        return WeightsWanted(str(content.config_records["weights-wanted"]["worker"]))
    if failure := unpack_failure(content):
        return failure
    return pd.DataFrame({name: array.numpy() for name, array in content.array_records["rows"].items()})
