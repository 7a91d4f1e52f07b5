import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from flwr.app import Context, Message, MessageType, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from clients import client_app
from fedctr.data.cache import open_dataset
from fedctr.data.split import Days, Fractions, SplitRule, split
from fedctr.messages import (
    CellTask,
    Failure,
    WeightsWanted,
    digest,
    pack_failure,
    pack_rows,
    pack_task,
    pack_weights_wanted,
    unpack_published,
    unpack_reply,
    unpack_task,
)
from fedctr.models.model import models
from fedctr.published import Published
from fedctr.retention import EVERYTHING, Held, Retention
from tests.application import DATASET, MODEL

pytestmark = pytest.mark.usefixtures("small_cache")

TASK = CellTask(
    dataset="somewhere",
    rule=Fractions(validation=0.2, test=0.3, window="earlier"),
    part="validation",
    strategy="label-correction[variant=shift,clip=true]",
    seed=7,
    learning_rates=(0.1, 1 / 3),
    epochs=(1, 3),
    batch_size=16,
    optimiser="adam",
    local=Retention(keep_positives=0.5, keep_negatives=1 / 3, most=7),
    stop_file="/a/.stop",
    device="cuda",
)

# What a device tells the server of itself: two ids of the trial, counts, and how well it fared.
TOLD = {
    *("user", "learning_rate", "epochs"),
    *("samples", "positives", "local_samples", "local_positives"),
    *("auc", "log_loss", "ndcg_at_10", "predicted_clicks", "diverged"),
}


def publish(seed: int = 0, global_ctr: float = 0.1 + 0.2) -> Published:
    torch.manual_seed(seed)
    schema = open_dataset(DATASET).schema
    return Published(MODEL, schema, models.create(MODEL, schema), global_ctr)


@pytest.fixture
def published() -> Published:
    return publish()


@pytest.fixture(autouse=True)
def _a_fresh_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_app, "_published", {})


def small_task(strategy: str = "no-fine-tuning", learning_rates: tuple[float, ...] = (0.1,)) -> CellTask:
    folder = str(open_dataset(DATASET).folder)
    return CellTask("test", 0, learning_rates, (1,), 32, dataset=folder, rule=Fractions(), strategy=strategy)


def evaluate(content: RecordDict, partition: int, partitions: int) -> Message:
    """The reply of the real client."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 0
    config: dict[str, str | int | float | bool] = {"partition-id": partition, "num-partitions": partitions}
    message = Message(content, 1, MessageType.EVALUATE)
    return client_app.app(message, Context(run_id=1, node_id=1, node_config=config, state=RecordDict(), run_config={}))


def test_a_task_arrives_as_it_was_sent(published: Published) -> None:
    content = pack_task(TASK, "a name", published)
    assert unpack_task(content) == (TASK, "a name")
    arrived = unpack_published(content)
    assert arrived is not None
    assert (arrived.spec, arrived.schema, arrived.global_ctr) == (MODEL, published.schema, 0.1 + 0.2)
    before, after = published.model.state_dict(), arrived.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("rule", [Fractions(0.1, 0.3), Days(2, 3, "earlier", 8)])
def test_either_rule_arrives_as_it_was_sent(rule: SplitRule) -> None:
    task = replace(TASK, rule=rule, local=EVERYTHING)
    assert unpack_task(pack_task(task, "a name")) == (task, "a name")


def test_rows_arrive_as_they_were_sent() -> None:
    columns = {
        "user": np.array([3, 1]),
        "auc": np.array([0.1 + 0.2, np.nan]),
        "diverged": np.array([False, True]),
        "samples": np.array([1, 2**40]),
    }
    rows = unpack_reply(pack_rows(columns))
    assert isinstance(rows, pd.DataFrame)
    pd.testing.assert_frame_equal(rows, pd.DataFrame(columns), check_exact=True)


@pytest.mark.parametrize("failure", [Failure(3, "fine-tuning", "42", "ValueError: no"), Failure(0, "a:B", "", "x")])
def test_a_failure_arrives_as_it_was_sent(failure: Failure) -> None:
    assert unpack_reply(pack_failure(failure)) == failure


def test_a_failure_says_who_failed_at_what() -> None:
    assert str(Failure(3, "a:B", "42", "no")) == "strategy a:B: client 3, user 42: no"
    assert str(Failure(3, "a:B", "", "no")) == "strategy a:B: client 3: no"


def test_a_client_tells_one_row_per_user_and_trial_and_nothing_else(published: Published) -> None:
    task = small_task("fine-tuning", (0.1, 0.3))
    reply = evaluate(pack_task(task, digest(published), published), partition=1, partitions=4)
    assert list(reply.content) == ["rows"]
    columns = {name: array.numpy() for name, array in reply.content.array_records["rows"].items()}
    assert columns.keys() == TOLD
    users = range(50 * 1 // 4, 50 * 2 // 4)
    assert {values.shape for values in columns.values()} == {(2 * len(users),)}
    assert sorted(columns["user"]) == sorted([*users, *users])


def test_a_client_tunes_on_what_its_devices_hold(published: Published) -> None:
    """And it does not mix up what was drawn for other seeds and tasks."""
    dataset, name = open_dataset(DATASET), digest(published)
    parts = split(dataset, Fractions())
    every: list[list[int]] = []
    held: list[list[int]] = []
    for retention in (EVERYTHING, Retention(keep_negatives=0.4, most=20)):
        for seed in (0, 1, 0):
            task = replace(small_task(), strategy="fine-tuning", seed=seed, local=retention)
            rows = unpack_reply(evaluate(pack_task(task, name, published), 1, 4).content)
            assert isinstance(rows, pd.DataFrame)
            found = rows.sort_values("user")["local_samples"].tolist()
            (every if retention == EVERYTHING else held).append(found)
    users = range(50 * 1 // 4, 50 * 2 // 4)
    assert every == [(parts.train_end - parts.start)[users.start : users.stop].tolist()] * 3
    drawn = [Held.draw(dataset, parts, users, Retention(keep_negatives=0.4, most=20), seed) for seed in (0, 1)]
    assert held == [drawn[seed].samples.tolist() for seed in (0, 1, 0)]
    assert held[0] != held[1]


def test_a_client_cuts_by_days_where_the_task_says_so(published: Published) -> None:
    dataset = open_dataset(DATASET)
    for rule in (Fractions(), Days(test=5)):
        task = replace(small_task(), rule=rule)
        rows = unpack_reply(evaluate(pack_task(task, digest(published), published), 0, 1).content)
        assert isinstance(rows, pd.DataFrame)
        starts, stops = split(dataset, rule).bounds("test")
        assert rows.sort_values("user")["samples"].tolist() == (stops - starts).tolist()


def test_a_client_whose_strategy_is_missing_says_so_and_nothing_else(published: Published) -> None:
    reply = evaluate(pack_task(small_task("nowhere:Gone"), digest(published), published), partition=2, partitions=4)
    assert list(reply.content) == ["failure"]
    failure = unpack_reply(reply.content)
    assert isinstance(failure, Failure)
    assert (failure.client, failure.strategy, failure.user) == (2, "nowhere:Gone", "")
    assert failure.error.startswith("strategy 'nowhere:Gone': No module named 'nowhere'")


def test_what_goes_down_holds_no_sample(published: Published) -> None:
    """Model, published facts and task: the devices have the samples already."""
    content = pack_task(TASK, digest(published), published)
    assert set(content) == {"model", "published", "task"}
    assert set(content.array_records["model"]) == set(published.model.state_dict())
    assert set(json.loads(str(content.config_records["published"]["json"]))) == {"spec", "schema", "global_ctr"}


# ------------------------------------------------------------------------------------- weights sent once


def test_equal_names_are_equal_bits() -> None:
    assert digest(publish()) == digest(publish())
    others = publish(seed=1), publish(global_ctr=0.3)
    assert len({digest(each) for each in (publish(), *others)}) == 3


def test_a_task_for_a_worker_that_has_the_weights_holds_none(published: Published) -> None:
    content = pack_task(TASK, digest(published))
    assert set(content) == {"task"}
    assert unpack_published(content) is None


def test_a_worker_asks_for_weights_that_it_has_not_seen_and_then_keeps_them(published: Published) -> None:
    name = digest(published)
    wanted = unpack_reply(evaluate(pack_task(small_task(), name), 0, 4).content)
    assert wanted == WeightsWanted(client_app.WORKER)
    first = unpack_reply(evaluate(pack_task(small_task(), name, published), 0, 4).content)
    again = unpack_reply(evaluate(pack_task(small_task(), name), 0, 4).content)
    assert isinstance(first, pd.DataFrame)
    assert isinstance(again, pd.DataFrame)
    pd.testing.assert_frame_equal(first, again, check_exact=True)


def test_a_worker_keeps_the_models_that_it_used_last() -> None:
    several = [publish(seed) for seed in range(client_app.PUBLISHED_KEPT + 1)]
    for each in (*several[:-1], several[0], several[-1]):
        evaluate(pack_task(small_task(), digest(each), each), 0, 4)
    replies = [unpack_reply(evaluate(pack_task(small_task(), digest(each)), 0, 4).content) for each in several]
    assert [seed for seed, reply in enumerate(replies) if isinstance(reply, WeightsWanted)] == [1]


def test_a_wish_for_weights_arrives_as_it_was_sent() -> None:
    assert unpack_reply(pack_weights_wanted(WeightsWanted("me"))) == WeightsWanted("me")
