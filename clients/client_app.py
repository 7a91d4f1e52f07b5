"""The Flower client: runs one strategy over the users of its partition and replies with a row for each."""

from functools import lru_cache
from pathlib import Path
from uuid import uuid4

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedctr.composition import strategy_of
from fedctr.data.dataset import Dataset
from fedctr.data.partition import partition
from fedctr.data.split import Split, SplitRule, split
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.messages import (
    Failure,
    WeightsWanted,
    pack_failure,
    pack_rows,
    pack_weights_wanted,
    unpack_published,
    unpack_task,
)
from fedctr.personalise import UserError, personalise
from fedctr.published import Published
from fedctr.retention import Retention
from fedctr.threads import single_thread

WORKER = uuid4().hex  # this process, which may serve any partition
PUBLISHED_KEPT = 6  # the server has up to four tasks on their way, perhaps of as many seeds
_published: dict[str, Published] = {}  # by digest, the latest in use last

app = ClientApp()


@app.query()
def introduce(message: Message, context: Context) -> Message:
    """Say which partition this client holds, out of how many."""
    held, count = (int(context.node_config[key]) for key in ("partition-id", "num-partitions"))
    return Message(RecordDict({"client": ConfigRecord({"partition": held, "partitions": count})}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Fine-tune and score every user of this client's partition, as the task says."""
    client, clients = (int(context.node_config[key]) for key in ("partition-id", "num-partitions"))
    task, digest = unpack_task(message.content)
    published = _published.pop(digest, None) or unpack_published(message.content)
    if published is None:
        return Message(pack_weights_wanted(WeightsWanted(WORKER)), reply_to=message)
    _published[digest] = published
    while len(_published) > PUBLISHED_KEPT:
        del _published[next(iter(_published))]

    def go_on() -> None:
        if task.stop_file and Path(task.stop_file).exists():
            raise FedctrError("stopped by the server")

    try:
        strategy = strategy_of(task.strategy)
        whole = _features(task.dataset, task.rule, client, clients, published.model.history_length)
        features = _keeping(whole, task.local, task.seed)
        with single_thread():
            content = pack_rows(personalise(published, strategy, features, task, go_on=go_on))
    except UserError as error:
        content = pack_failure(Failure(client, task.strategy, error.user, str(error)))
    except FedctrError as error:
        content = pack_failure(Failure(client, task.strategy, "", str(error)))
    return Message(content, reply_to=message)


@lru_cache(maxsize=4)
def _features(folder: str, rule: SplitRule, client: int, clients: int, history_length: int) -> Features:
    dataset, parts = _parts(folder, rule)
    return Features.build(dataset, parts, partition(dataset.users, client, clients), history_length)


@lru_cache(maxsize=4)
def _keeping(features: Features, retention: Retention, seed: int) -> Features:
    return features.keeping(retention, seed)


@lru_cache(maxsize=1)
def _parts(folder: str, rule: SplitRule) -> tuple[Dataset, Split]:
    dataset = Dataset.open(Path(folder))
    return dataset, split(dataset, rule)
