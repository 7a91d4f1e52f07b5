"""What server and clients send each other in a round of federated training, as Flower records.

Down go the task, what the aggregation asks of the clients, and the global model; up comes the sum of what the users of
a partition have changed in it, with how many of them have changed each embedding row if that is asked for; neither
samples nor labels. It is what one user has changed only where a partition has no other that takes part.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, log2

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedctr.data.split import SplitRule, rule_of
from fedctr.federated.participation import Participation
from fedctr.federated.submodels import Averaging, Counts
from fedctr.messages import Failure, pack_published, unpack_failure
from fedctr.published import Published

MOST = 1 << 10  # a device that moved a parameter by more has diverged
Sums = dict[str, npt.NDArray[np.int64]]
Holders = dict[str, Counts]


def unit(users: int) -> float:
    """What an integer of :attr:`Contribution.sums` is worth, a power of 2 by the number of users sampled for a round.

    Changes are added up as whole numbers, since the sum of floats would depend on how users are partitioned. As many
    of up to ``MOST`` each as there are users fit into 63 bits: the unit is 2.3e-10 for a million users.
    """
    return float(2.0 ** (ceil(log2(users)) + log2(MOST) - 62))


@dataclass(frozen=True)
class RoundTask:
    """What the server asks of a client in every round.

    Attributes:
        dataset: folder of the memory-mapped data set, which all simulated clients share.
        rule: how it is split.
        strategy: the client strategy of the local steps, as people type it.
        seed: the run's seed.
        learning_rate: step size.
        epochs: passes over the local samples; with ``alternate``, as many for either kind of parameters.
        batch_size: samples in a step.
        participation: who takes part.
        averaging: whether it is counted how many users have changed each row of an embedding table.
        personal: names of the parameters that stay on the device.
        alternate: whether personal parameters are tuned first and the shared ones then, instead of both together.
        personal_file: what the devices keep from round to round; simulated clients share the server's disk.
        stop_file: leave off as soon as this file exists.
    """

    dataset: str
    rule: SplitRule
    strategy: str
    seed: int
    learning_rate: float
    epochs: int
    batch_size: int
    participation: Participation
    averaging: Averaging = "users"
    personal: tuple[str, ...] = ()
    alternate: bool = False
    personal_file: str = ""
    stop_file: str = ""


@dataclass(frozen=True)
class Terms:
    """What the aggregation asks of the clients in one round.

    Attributes:
        number: of the round, from 1.
        pull: strength of FedProx's pull towards the round's model.
        clipping_norm: the longest change that a user may contribute, as L2 norm over all parameters; 0 for any.
        last_epoch: whether only the change of a user's last epoch counts.
    """

    number: int
    pull: float = 0.0
    clipping_norm: float = 0.0
    last_epoch: bool = False

    @classmethod
    def of(cls, config: ConfigRecord) -> "Terms":
        """Read what Flower's strategies write into the configuration of a round."""
        return cls(
            number=int(str(config["server-round"])),
            pull=float(str(config.get("proximal-mu", 0.0))),
            clipping_norm=float(str(config.get("clipping_norm", 0.0))),
            last_epoch=bool(config.get("last-epoch", False)),
        )


@dataclass(frozen=True, eq=False)
class Contribution:
    """What the users of one partition have changed in a round.

    Attributes:
        sums: for each parameter the sum of the users' changes, int64 in units of :func:`unit`.
        holders: for each shared embedding table how many of the users have changed each of its rows, int64 (rows,);
            empty unless asked for.
        users: whose changes these are.
        diverged: users whose changes were left out, because they are not finite or too large.
    """

    sums: Sums
    holders: Holders
    users: int
    diverged: int

    @classmethod
    def added(cls, parts: Sequence["Contribution"]) -> "Contribution":
        """What several partitions have contributed, as if they were one."""
        first = parts[0]
        return cls(
            {name: sum((part.sums[name] for part in parts[1:]), start) for name, start in first.sums.items()},
            {name: sum((part.holders[name] for part in parts[1:]), start) for name, start in first.holders.items()},
            sum(part.users for part in parts),
            sum(part.diverged for part in parts),
        )


def pack_round(task: RoundTask, config: ConfigRecord, digest: str, published: Published) -> RecordDict:
    """The content of a message to a client.

    Args:
        task: what to do.
        config: what the aggregation asks for, in Flower's own words.
        digest: the name of the global model.
        published: the global model.
    """
    content = RecordDict({"task": ConfigRecord({"json": json.dumps(asdict(task)), "published": digest})})
    content["config"] = config
    pack_published(content, published)
    return content


def unpack_round(content: RecordDict) -> tuple[RoundTask, Terms, str]:
    """The task, what the aggregation asks for, and the name of the global model."""
    record = content.config_records["task"]
    text = json.loads(str(record["json"]))
    parts = {
        "rule": rule_of(text["rule"]),
        "participation": Participation(**text["participation"]),
        "personal": tuple(text["personal"]),
    }
    return RoundTask(**text | parts), Terms.of(content.config_records["config"]), str(record["published"])


def pack_contribution(contribution: Contribution) -> RecordDict:
    """The content of a reply."""
    counts = ConfigRecord({"users": contribution.users, "diverged": contribution.diverged})
    sums, holders = (
        ArrayRecord({name: Array(values) for name, values in arrays.items()})
        for arrays in (contribution.sums, contribution.holders)
    )
    return RecordDict({"counts": counts, "sums": sums, "holders": holders})


def unpack_contribution(content: RecordDict) -> Contribution | Failure:
    """The contribution, or why there is none."""
    if failure := unpack_failure(content):
        return failure
    counts = content.config_records["counts"]
    sums, holders = (
        {name: array.numpy() for name, array in content.array_records[kind].items()} for kind in ("sums", "holders")
    )
    return Contribution(sums, holders, *(int(str(counts[name])) for name in ("users", "diverged")))
