"""What server and clients of an A/B test send each other, as Flower records.

Down goes the day's task for one arm, and the newest published model; up comes what was shown and clicked, which an
online service logs anyway.
"""

import json
from dataclasses import asdict, dataclass

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedctr.judgement import Columns
from fedctr.messages import Failure, digest, pack_published, unpack_failure
from fedctr.online.day import Day
from fedctr.published import Published

RANK = "train.rank"  # the kind of message, to which the client registers as train("rank")


@dataclass(frozen=True)
class DayTask:
    """What the server asks of a client: a day of one arm.

    Attributes:
        settings: the A/B test, as JSON.
        arm: which arm, counted from 0.
        day: which day.
        truth: file of the world's truth, which all simulated clients share.
        log: folder of the memory-mapped data set of all days before.
        stop_file: leave off as soon as this file exists.
    """

    settings: str
    arm: int
    day: int
    truth: str
    log: str
    stop_file: str = ""


def pack_day_task(task: DayTask, published: Published | None) -> RecordDict:
    """The content of a message to a client; on days of the warm-up nothing is published."""
    name = digest(published) if published else ""
    content = RecordDict({"task": ConfigRecord({"json": json.dumps(asdict(task)), "published": name})})
    if published:
        pack_published(content, published)
    return content


def unpack_day_task(content: RecordDict) -> tuple[DayTask, str]:
    """The task, and the name of what is published, empty if nothing is."""
    record = content.config_records["task"]
    return DayTask(**json.loads(str(record["json"]))), str(record["published"])


def pack_day(day: Day) -> RecordDict:
    """The content of a reply."""
    return RecordDict({"visits": _packed(day.visits), "shown": _packed(day.shown)})


def unpack_day(content: RecordDict) -> Day | Failure:
    """What happened, or why nothing did."""
    if failure := unpack_failure(content):
        return failure
    return Day(*(_unpacked(content.array_records[name]) for name in ("visits", "shown")))


def _packed(columns: Columns) -> ArrayRecord:
    return ArrayRecord({name: Array(values) for name, values in columns.items()})


def _unpacked(record: ArrayRecord) -> Columns:
    return {name: array.numpy() for name, array in record.items()}
