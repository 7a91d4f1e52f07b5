"""How a simulation is launched from within Python."""

import logging
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.run import Run as FlowerRun
from flwr.supercore.task_identity import TaskIdentity

from fedctr.errors import FedctrError

Backend = Literal["ray", "inline"]
_CLIENT_APP_RAISED = 2  # Flower's ErrorCode.CLIENT_APP_RAISED_EXCEPTION


def simulate(
    serve: Callable[[Grid], None],
    client_app: ClientApp,
    partitions: int,
    backend: Backend,
    stop: threading.Event,
    *,
    ray_address: str | None = None,
    gpu: bool = False,
) -> None:
    """Run a server against simulated clients, one for each partition.

    Args:
        serve: the server's work; it should return soon after ``stop`` is set.
        client_app: what every client runs.
        partitions: number of clients.
        backend: ``ray`` or ``inline``.
        stop: set when the user interrupts the run, or the clients are gone.
        ray_address: HOST:PORT of an existing Ray cluster; None for that in ``$RAY_ADDRESS``, or else for one that
            is started on this machine and ends with the run.
        gpu: whether every Ray worker needs a GPU.

    Raises:
        Whatever ``serve`` raises.
        FedctrError: when Ray fails, or no cluster is at the address.
        KeyboardInterrupt: when the user interrupts ``inline``, or ``ray`` for the second time.
    """
    with _quiet():
        if backend == "inline":
            serve(InlineGrid(client_app, partitions))
        else:
            _simulate_on_ray(serve, client_app, partitions, stop, ray_address, gpu)


def _simulate_on_ray(
    serve: Callable[[Grid], None],
    client_app: ClientApp,
    partitions: int,
    stop: threading.Event,
    ray_address: str | None,
    gpu: bool,
) -> None:
    # Without an address Ray would join any cluster that was ever started on this machine, or wait for one that is gone.
    address = ray_address or os.environ.get("RAY_ADDRESS") or "local"
    if address != "local":
        _check_reachable(address)
    from flwr.simulation import run_simulation
    from ray import cloudpickle

    from fedctr.ray_backend import in_place_of_flowers

    app = ServerApp()
    raised: list[BaseException] = []
    serving = threading.Lock()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        with serving:
            try:
                serve(grid)
            except BaseException as error:  # Flower would print it; it is raised below instead
                raised.append(error)

    crash: BaseException | None = None
    with in_place_of_flowers(), _interrupt_sets(stop):
        try:
            run_simulation(
                app,
                _OnWorker(cloudpickle.dumps(client_app), tuple(sys.path)),  # type: ignore[no-untyped-call]
                partitions,
                "ray",
                {
                    "client_resources": {"num_cpus": 1, "num_gpus": float(gpu)},
                    "init_args": {
                        "address": address,
                        "log_to_driver": False,
                        "logging_level": logging.ERROR,
                    },
                },
            )
        except (Exception, SystemExit) as error:  # Ray exits when its cluster does not answer
            crash = error
        finally:
            stop.set()  # a server that still waits for clients waits in vain
            with serving:
                pass  # until it has left off
    if raised and not crash:
        raise raised[0]
    if crash:
        raise FedctrError(f"Ray failed ({_cause(crash)}); --backend inline does without it") from crash


class _OnWorker(ClientApp):
    """The client app as it travels to a Ray worker, where it is unpickled once the import path is the driver's.

    Ray puts the current folder first on that path; a module or a package in there must not hide an installed one.
    """

    def __init__(self, pickled: bytes, path: tuple[str, ...]) -> None:
        super().__init__()
        self._pickled, self._path = pickled, path

    def __call__(self, message: Message, context: Context) -> Message:
        sys.path[:] = [*self._path, *(folder for folder in sys.path if folder not in self._path)]
        app: ClientApp = pickle.loads(self._pickled)
        return app(message, context)


def _check_reachable(address: str) -> None:
    """Say at once what Ray would find out in minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise FedctrError(f"ray address {address!r}: should be HOST:PORT of a Ray cluster, as `ray start` prints it")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise FedctrError(f"ray address {address}: no Ray cluster answers there ({error})") from None


@contextmanager
def _interrupt_sets(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C ask for a stop: raised in the midst of Ray's work, it would leave threads behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _cause(error: BaseException) -> str:
    """The first error of a chain, in one line."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return " ".join(f"{type(error).__name__}: {error}".split())


class InlineGrid(Grid):
    """A grid whose clients are called in this very process, one message after the other, when replies are asked for.

    Args:
        client_app: what every client runs.
        partitions: number of clients; client ``p`` is node ``p + 1``.
    """

    def __init__(self, client_app: ClientApp, partitions: int) -> None:
        # Flower stamps every message with the task that sends it; outside its own launchers nobody sets that.
        TaskIdentity.run_id = TaskIdentity.task_id = 1
        TaskIdentity.node_id = 0
        self._client_app = client_app
        self._run = FlowerRun.create_empty(run_id=1)
        self._contexts = {
            partition + 1: Context(
                run_id=1,
                node_id=partition + 1,
                node_config={"partition-id": partition, "num-partitions": partitions},
                state=RecordDict(),
                run_config={},
            )
            for partition in range(partitions)
        }
        self._inbox: dict[str, Message] = {}
        self._sent = 0

    def set_run(self, run: FlowerRun) -> None:
        """Take over the run's identity."""
        self._run = run

    @property
    def run(self) -> FlowerRun:
        """The run's identity."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """All clients, at once."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Keep the messages until their replies are asked for."""
        identifiers = []
        for message in messages:
            self._sent += 1
            identifier = f"inline-{self._sent}"
            message.metadata.__dict__["_message_id"] = identifier
            self._inbox[identifier] = message
            identifiers.append(identifier)
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Compute the reply to the first message that has none yet; an empty list when all have theirs."""
        for identifier in message_ids:
            message = self._inbox.pop(identifier, None)
            if message is not None:
                return [self._reply(message)]
        return []

    def _reply(self, message: Message) -> Message:
        try:
            return self._client_app(message, self._contexts[message.metadata.dst_node_id])
        except Exception as error:  # as on every other backend, it must not take the server along
            reason = f"{type(error).__name__}: {error}"
            return Message(Error(_CLIENT_APP_RAISED, reason), reply_to=message)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Push the messages and compute every reply; there is nothing to wait for, so ``timeout`` is not needed."""
        return [reply for identifier in self.push_messages(messages) for reply in self.pull_messages([identifier])]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the chatter of Flower and Ray off the user's screen; errors reach us as replies and exceptions."""
    for name, value in {
        "FLWR_TELEMETRY_ENABLED": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DEDUP_LOGS": "0",
    }.items():
        os.environ.setdefault(name, value)
    logger = logging.getLogger("flwr")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
