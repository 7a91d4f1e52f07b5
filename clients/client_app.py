"""The Flower client: fine-tunes and scores the users of its partition, or has them take part in a round of training."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedctr.composition import strategy_of
from fedctr.data.dataset import Dataset
from fedctr.data.partition import partition
from fedctr.data.split import Split, SplitRule, split
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.federated.contribution import contribute
from fedctr.federated.messages import pack_contribution, unpack_round
from fedctr.messages import (
    Failure,
    WeightsWanted,
    pack_failure,
    pack_rows,
    pack_weights_wanted,
    unpack_published,
    unpack_task,
)
from fedctr.online.arms import members
from fedctr.online.day import live
from fedctr.online.messages import pack_day, unpack_day_task
from fedctr.online.settings import ABTest
from fedctr.online.world import Truth, World
from fedctr.personalise import UserError, personalise
from fedctr.published import Published
from fedctr.retention import Retention
from fedctr.strategy import ClientStrategy
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
    published = _kept(digest, message.content)
    if published is None:
        return Message(pack_weights_wanted(WeightsWanted(WORKER)), reply_to=message)

    def answer() -> RecordDict:
        whole = _features(task.dataset, task.rule, client, clients, published.model.history_length)
        features = _keeping(whole, task.local, task.seed)
        go_on = _unless(task.stop_file)
        return pack_rows(personalise(published, _strategy(task.strategy), features, task, go_on=go_on))

    return Message(_answer(answer, client, task.strategy), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Have those users of this client's partition who take part in a round change the global model."""
    client, clients = (int(context.node_config[key]) for key in ("partition-id", "num-partitions"))
    task, terms, digest = unpack_round(message.content)
    published = _kept(digest, message.content)

    def answer() -> RecordDict:
        if published is None:
            raise FedctrError("the round's model is missing")
        features = _features(task.dataset, task.rule, client, clients, published.model.history_length)
        strategy, go_on = strategy_of(task.strategy), _unless(task.stop_file)
        return pack_contribution(contribute(published, strategy, features, task, terms, client, go_on=go_on))

    return Message(_answer(answer, client, task.strategy), reply_to=message)


@app.train("rank")
def rank(message: Message, context: Context) -> Message:
    """Have those users of this client's partition who are in one arm live a day of an A/B test."""
    client, clients = (int(context.node_config[key]) for key in ("partition-id", "num-partitions"))
    task, digest = unpack_day_task(message.content)
    settings = ABTest.model_validate_json(task.settings)
    strategy = settings.on_device(settings.arms[task.arm], task.day)
    published = _kept(digest, message.content) if digest else None

    def answer() -> RecordDict:
        log, world = Dataset.open(Path(task.log)), World(_truth(task.truth), settings.world, settings.seed)
        mine = partition(log.users, client, clients)
        users = members(settings, task.arm, np.arange(mine.start, mine.stop))
        recipe, go_on = settings.recipe(settings.arms[task.arm]), _unless(task.stop_file)
        day = live(task.day, users, world, log, published, strategy_of(strategy), recipe, go_on=go_on)
        return pack_day(day)

    return Message(_answer(answer, client, strategy), reply_to=message)


def _answer(work: Callable[[], RecordDict], client: int, strategy: str) -> RecordDict:
    """The content of a reply: what the work returns, or why it could not be done."""
    try:
        with single_thread():
            return work()
    except UserError as error:
        return pack_failure(Failure(client, strategy, error.user, str(error)))
    except FedctrError as error:
        return pack_failure(Failure(client, strategy, "", str(error)))


def _kept(digest: str, content: RecordDict) -> Published | None:
    """What is published under this name, if it has come here; the latest in use are kept."""
    published = _published.pop(digest, None) or unpack_published(content)
    if published is not None:
        _published[digest] = published
        while len(_published) > PUBLISHED_KEPT:
            del _published[next(iter(_published))]
    return published


def _unless(stop_file: str) -> Callable[[], None]:
    """Goes on unless the server has asked to leave off."""

    def go_on() -> None:
        if stop_file and Path(stop_file).exists():
            raise FedctrError("stopped by the server")

    return go_on


def _strategy(spec: str) -> ClientStrategy:
    # A module of one's own may have been changed and loaded again since it was looked up.
    return strategy_of(spec) if ":" in spec else _installed(spec)


@lru_cache(maxsize=16)
def _installed(spec: str) -> ClientStrategy:
    return strategy_of(spec)  # which looks through all that is installed


@lru_cache(maxsize=4)
def _features(folder: str, rule: SplitRule, client: int, clients: int, history_length: int) -> Features:
    dataset, parts = _parts(folder, rule)
    return Features(dataset, parts, partition(dataset.users, client, clients), history_length)


@lru_cache(maxsize=4)
def _keeping(features: Features, retention: Retention, seed: int) -> Features:
    return features.keeping(retention, seed)


@lru_cache(maxsize=1)
def _truth(file: str) -> Truth:
    return Truth.load(Path(file))


@lru_cache(maxsize=1)
def _parts(folder: str, rule: SplitRule) -> tuple[Dataset, Split]:
    dataset = Dataset.open(Path(folder))
    return dataset, split(dataset, rule)
