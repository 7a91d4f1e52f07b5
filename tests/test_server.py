import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp

from fedctr import post, server
from fedctr.benchmark import bench
from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, split
from fedctr.errors import FedctrError
from fedctr.fused import recording
from fedctr.fused.recorder import Recording
from fedctr.fused.recording import record
from fedctr.interruption import StoppedError
from fedctr.messages import CellTask, WeightsWanted, digest, pack_rows, pack_weights_wanted, unpack_task
from fedctr.models.model import Model, models
from fedctr.progress import Silent
from fedctr.published import Published
from fedctr.run import Run
from fedctr.simulation import InlineGrid
from fedctr.standings import Standings
from fedctr.summary import Result
from fedctr.user_rows import write_rows
from tests.application import DATASET, MODEL, experiment, users_of
from tests.mischief import write_module

pytestmark = pytest.mark.usefixtures("small_cache")

PARTITIONS = 8


# ------------------------------------------------------------------------------------- weights sent once


def weights(content: RecordDict) -> int:
    """Bytes of the model in a message."""
    return sum(len(array.data) for record in content.array_records.values() for array in record.values())


@pytest.mark.parametrize(("strategies", "partitions"), [(("fine-tuning",), 1), (("fine-tuning", "pairwise"), 3)])
def test_weights_travel_once_for_each_seed_to_a_single_worker(
    strategies: tuple[str, ...], partitions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(InlineGrid, "push_messages", counted(sent))
    keys: dict[str, Any] = {"strategies": strategies, "partitions": partitions, "seeds": 2}
    result = bench(experiment(tmp_path / "run", **keys))
    published = [Published.load(result.folder / "published" / f"seed-{seed}")[0].model for seed in range(2)]
    sizes = [sum(each.nbytes for each in model.state_dict().values()) for model in published]
    carrying = [size for size in sent if size]
    assert len(sent) == partitions + 2 * 2 * len(strategies) * partitions  # introductions, then tasks
    assert len(carrying) == 2
    assert sum(sizes) <= sum(carrying) < 1.5 * sum(sizes) + 2 * 2000


def counted(sent: list[int]) -> Callable[[InlineGrid, Iterable[Message]], Iterable[str]]:
    push = InlineGrid.push_messages

    def counting(grid: InlineGrid, messages: Iterable[Message]) -> Iterable[str]:
        messages = list(messages)
        sent.extend(weights(message.content) for message in messages)
        return push(grid, messages)

    return counting


class Workers(InlineGrid):
    """Processes that serve any client, the messages in the order in which they were sent.

    A task takes ten turns; what a worker cannot start without the weights it answers at once.
    """

    def __init__(self, count: int) -> None:
        super().__init__(ClientApp(), 4)
        self.busy: dict[str, tuple[int, Message] | None] = {f"worker {number}": None for number in range(count)}
        self.received: list[tuple[str, str]] = []
        self.served: list[str] = []

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """What all workers answer in one turn."""
        return [reply for name in self.busy for reply in self.answers(name)]

    def answers(self, name: str) -> Iterator[Message]:
        if work := self.busy[name]:
            turns, message = work
            self.busy[name] = (turns - 1, message) if turns else None
            if not turns:
                self.served.append(name)
                yield Message(pack_rows({"user": np.zeros(1)}), reply_to=message)
        while self._inbox and not self.busy[name]:
            message = self._inbox.pop(next(iter(self._inbox)))
            _, model = unpack_task(message.content)
            if "model" in message.content:
                self.received.append((name, model))
            if (name, model) in self.received:
                self.busy[name] = 10, message
            else:
                yield Message(pack_weights_wanted(WeightsWanted(name)), reply_to=message)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_weights_travel_once_for_each_seed_to_each_of_several_workers(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "POLL_SECONDS", 0)
    monkeypatch.setattr(post, "POLL_TIMES", 0)
    run = Run.open(experiment(tmp_path / "run"), Silent())
    schema = run.dataset.schema
    published = [Published(MODEL, schema, models.create(MODEL, schema), ctr) for ctr in (0.1, 0.2)]
    grid = Workers(workers)
    tasks = [
        CellTask("test", seed, (0.1,), (1,), 32, dataset=DATASET, rule=Fractions(), strategy=name)
        for seed in (0, 1)
        for name in "abcde"
    ]
    answered = {
        task: len(replies)
        for task, replies in server.Server(run, post.Post(grid, [1, 2, 3, 4], published), Standings(run)).ask(tasks)
    }
    assert answered == dict.fromkeys(tasks, 4)
    assert sorted(grid.received) == sorted((name, digest(each)) for name in grid.busy for each in published)
    counts = [grid.served.count(name) for name in grid.busy]
    assert max(counts) - min(counts) <= 4


def test_numbers_that_no_two_users_share_are_written_as_they_are(tmp_path: Path) -> None:
    rows = pd.DataFrame({"user": [1, 2], "epochs": [1, 1], "auc": [0.5, 1.0], "log_loss": [0.4, 0.6]})
    write_rows(rows, tmp_path / "rows.parquet")
    (group,) = pq.ParquetFile(tmp_path / "rows.parquet").metadata.to_dict()["row_groups"]
    found = {each["path_in_schema"]: each["has_dictionary_page"] for each in group["columns"]}
    assert found == {"user": True, "epochs": True, "auc": True, "log_loss": False}
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "rows.parquet"), rows)


# ------------------------------------------------------------------------------------ what clients do once


def test_a_models_forward_pass_is_followed_once_whatever_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[str] = []
    monkeypatch.setattr(recording, "_recordings", {})

    def counted(model: Model) -> Recording | None:
        followed.append(model.name)
        return record(model)

    monkeypatch.setattr(recording, "record", counted)
    bench(
        experiment(tmp_path / "run", strategies=("fine-tuning", "label-correction"), learning_rates=(0.1,), epochs=(1,))
    )
    assert followed == [MODEL.partition("[")[0]]


# ---------------------------------------------------------------------------------------- looks for replies


@pytest.mark.parametrize(("takes", "pause"), [(0.0, 0.01), (0.1, 5.0)])
def test_to_look_for_replies_takes_little_of_the_time(
    takes: float, pause: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, slept = [0.0], list[float]()
    monkeypatch.setattr("time.thread_time", lambda: now[0])
    monkeypatch.setattr("time.sleep", slept.append)
    coming = iter([[], ["reply"], []])

    def look() -> list[str]:
        now[0] += takes
        return next(coming)

    run = Run.open(experiment(tmp_path / "run"), Silent())
    found = post.looks(look, run)
    assert [next(found) for _ in range(3)] == [[], ["reply"], []]
    assert slept == pytest.approx([pause])  # one that finds something is followed by another at once
    run.stop.set()
    with pytest.raises(StoppedError):
        next(found)


# ------------------------------------------------------------------------------------------ failing clients


@pytest.fixture
def victims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A stranger's module that fails at one user, whose id is returned."""
    dataset = open_dataset(DATASET)
    starts, stops = split(dataset, Fractions()).bounds("train")
    counts = pd.Series(stops - starts).value_counts()
    samples = int(counts[counts == 1].index[0])
    write_module(tmp_path, samples)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield [str(dataset.user_ids[user]) for user in range(50) if (stops - starts)[user] == samples]
    sys.modules.pop("my_module", None)


def test_a_failing_client_is_named_and_all_other_results_are_kept(
    victims: list[str], tmp_path: Path, reference: Result
) -> None:
    (victim,) = victims
    spec = "my_module:Raises"
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning", spec, "fine-tuning"), "partitions": PARTITIONS}
    result = bench(experiment(tmp_path / "run", **keys))
    assert list(result.summary["strategies"]) == ["no-fine-tuning", "fine-tuning"]
    row = [str(user) for user in open_dataset(DATASET).user_ids].index(victim)
    client = next(index for index in range(PARTITIONS) if row < 50 * (index + 1) // PARTITIONS)
    said = result.complaint
    assert said.startswith(f"strategy {spec}: client {client}, user {victim}: RuntimeError: first line second line")
    assert said.endswith(f"(1 more in log.txt); what the others computed is kept in {tmp_path / 'run'}")

    users = users_of(tmp_path / "run")
    others = users[users["strategy"] != spec].reset_index(drop=True)
    expected = reference.users[reference.users["strategy"].isin(["no-fine-tuning", "fine-tuning"])]
    pd.testing.assert_frame_equal(others, expected.reset_index(drop=True), check_exact=True)
    own = users[users["strategy"] == spec]
    lost = {str(open_dataset(DATASET).user_ids[user]) for user in range(50 * client // 8, 50 * (client + 1) // 8)}
    assert set(own["user"]) == {str(user) for user in open_dataset(DATASET).user_ids} - lost
    assert set(own["split"]) == {"validation"}  # nothing was chosen, so test was not touched

    log = (tmp_path / "run" / "log.txt").read_text().splitlines()
    line = said.partition(" (1 more")[0]
    assert [logged[20:] for logged in log if spec in logged] == [f"validation, seed {seed}: {line}" for seed in (0, 1)]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Exits", "SystemExit: 0"),
        ("NaN", "ValueError: targets returned NaN or an infinite value"),
        ("Shape", "ValueError: targets returned shape"),
    ],
)
def test_a_client_may_fail_in_any_way(name: str, error: str, victims: list[str], tmp_path: Path) -> None:
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning", f"my_module:{name}"), "learning_rates": (0.1,)}
    said = bench(experiment(tmp_path / "run", epochs=(1,), seeds=1, partitions=1, **keys)).complaint
    assert said.startswith(f"strategy my_module:{name}: client 0, user {victims[0]}: {error}")


def test_the_summary_of_a_run_with_failures_has_the_others(victims: list[str], tmp_path: Path) -> None:
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning", "my_module:NaN", "my_module:Mine"), "seeds": 1}
    assert bench(experiment(tmp_path / "run", **keys)).complaint
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert list(summary["strategies"]) == ["no-fine-tuning", "my_module:Mine"]
    (failure,) = summary["failures"]
    assert (failure["strategy"], failure["user"]) == ("my_module:NaN", victims[0])


def test_a_strategy_that_is_mended_is_computed_again(victims: list[str], tmp_path: Path) -> None:
    keys: dict[str, Any] = {"strategies": ("no-fine-tuning", "my_module:Raises"), "seeds": 1}
    assert f"user {victims[0]}" in bench(experiment(tmp_path / "run", **keys)).complaint
    write_module(tmp_path, samples=-1)
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    sys.modules.pop("my_module")
    result = bench(experiment(tmp_path / "run", **keys))
    assert list(result.summary["strategies"]) == ["no-fine-tuning", "my_module:Raises"]
    assert result.summary["failures"] == []
    assert result.users.query("strategy == 'my_module:Raises' and split == 'test'")["user"].nunique() == 50


def test_where_every_client_fails_nothing_is_concluded(victims: list[str], tmp_path: Path) -> None:
    assert victims
    with pytest.raises(FedctrError, match=r"strategy my_module:Raises: client 0, user .*; no client was left"):
        bench(experiment(tmp_path / "run", strategies=("my_module:Raises",), partitions=1, seeds=1))
    assert not (tmp_path / "run" / "summary.json").exists()
