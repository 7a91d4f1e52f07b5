import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.clientapp import ClientApp
from flwr.server.superlink.fleet.vce import vce_api
from flwr.server.superlink.fleet.vce.backend import raybackend
from flwr.serverapp import Grid

from fedctr.errors import FedctrError
from fedctr.ray_backend import TaskBackend, pass_on
from fedctr.simulation import InlineGrid, simulate
from tests.application import command, write_toml

app = ClientApp()


@app.query()
def answer(message: Message, context: Context) -> Message:
    """Says which partition this is, and fails in the third of them."""
    partition = context.node_config["partition-id"]
    if partition == 2:
        raise RuntimeError("no third one")
    facts = ConfigRecord({"partition": int(partition), "of": int(context.node_config["num-partitions"])})
    return Message(RecordDict({"facts": facts}), reply_to=message)


def ask(grid: Grid) -> dict[int, tuple[int, int] | str]:
    """Ask every node; node to what it said, or to its error."""
    messages = [Message(RecordDict(), node, MessageType.QUERY) for node in grid.get_node_ids()]
    answers: dict[int, tuple[int, int] | str] = {}
    for reply in grid.send_and_receive(messages):
        if reply.has_error():
            answers[reply.metadata.src_node_id] = reply.error.reason or ""
        else:
            facts = reply.content.config_records["facts"]
            answers[reply.metadata.src_node_id] = int(str(facts["partition"])), int(str(facts["of"]))
    return answers


def inline(serve: Callable[[Grid], None]) -> None:
    simulate(serve, app, 4, "inline", threading.Event())


def of_flower() -> tuple[object, object, int]:
    """What a simulation replaces: the backend, the way of messages to it, and how loud Flower is."""
    return raybackend.RayBackend, vce_api.add_messages_to_queue, logging.getLogger("flwr").level


def test_every_client_of_the_grid_knows_its_partition_and_a_failure_is_a_reply() -> None:
    heard: list[dict[int, tuple[int, int] | str]] = []
    inline(lambda grid: heard.append(ask(grid)))
    assert heard == [{1: (0, 4), 2: (1, 4), 3: "RuntimeError: no third one", 4: (3, 4)}]


def test_replies_come_one_by_one_and_once() -> None:
    def serve(grid: Grid) -> None:
        sent = list(grid.push_messages([Message(RecordDict(), node, MessageType.QUERY) for node in (2, 1)]))
        replies = [list(grid.pull_messages(sent)) for _ in range(3)]
        assert [len(pulled) for pulled in replies] == [1, 1, 0]
        assert [pulled[0].metadata.reply_to_message_id for pulled in replies[:2]] == sent
        assert [pulled[0].metadata.src_node_id for pulled in replies[:2]] == [2, 1]

    inline(serve)


def test_the_servers_own_error_comes_through_and_flower_is_as_loud_as_before() -> None:
    def serve(grid: Grid) -> None:
        assert logging.getLogger("flwr").level == logging.CRITICAL
        raise LookupError("of the server")

    before = of_flower()
    with pytest.raises(LookupError, match="of the server"):
        inline(serve)
    assert of_flower() == before


def test_ctrl_c_in_a_client_is_not_taken_for_its_failure() -> None:
    interrupted = ClientApp()

    @interrupted.query()
    def stop(message: Message, context: Context) -> Message:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(InlineGrid(interrupted, 1))


def on_ray(address: str | None = None) -> None:
    simulate(lambda grid: None, app, 1, "ray", threading.Event(), ray_address=address)


@pytest.mark.parametrize("fails", [False, True])
def test_what_of_flower_a_simulation_on_ray_replaces_is_put_back(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run_simulation(*given: object) -> None:
        seen.append(of_flower())
        if fails:
            raise RuntimeError("no workers")

    monkeypatch.setattr("flwr.simulation.run_simulation", run_simulation)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = of_flower()
    with pytest.raises(FedctrError, match="no workers") if fails else nullcontext():
        on_ray()
    assert seen == [(TaskBackend, pass_on, logging.CRITICAL)]
    assert of_flower() == before
    assert not set(before) & set(seen[0])


@pytest.mark.parametrize("given", [True, False])
def test_an_address_where_nothing_answers_is_an_error_at_once(given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", "ignored:1" if given else address)
    start = time.monotonic()
    with pytest.raises(FedctrError, match=f"ray address {address}: no Ray cluster answers there .*refused"):
        on_ray(address if given else None)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("address", ["nowhere", "auto", "ray://127.0.0.1:10001", "127.0.0.1", ":6379", "host:port"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(FedctrError, match=f"ray address '{address}': should be HOST:PORT of a Ray cluster"):
        on_ray(address)


@pytest.mark.usefixtures("small_cache")
def test_a_ray_that_cannot_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/dev/null")
    toml = write_toml(tmp_path / "experiment.toml", backend="ray")
    ended = command(tmp_path, "bench", toml.name)
    assert (ended.returncode, ended.stdout) == (2, "")
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("fedctr: Ray failed (")
    assert last.endswith("; --backend inline does without it")
    assert "Traceback" not in ended.stderr
