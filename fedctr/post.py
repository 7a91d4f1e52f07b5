"""Messages to the clients, and their replies."""

import time
from collections.abc import Callable, Iterator
from math import inf
from typing import TypeVar

import pandas as pd
from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp import Grid

from fedctr.errors import FedctrError
from fedctr.folder import RunFolder
from fedctr.interruption import StoppedError
from fedctr.messages import CellTask, Failure, WeightsWanted, digest, pack_task, unpack_reply
from fedctr.published import Published

Found = TypeVar("Found")

# Between two looks for replies that find none: at least so many seconds, and so many times what a look takes, for
# Flower searches all messages at each, in time that the clients could use.
POLL_SECONDS, POLL_TIMES = 0.01, 50
PATIENCE_SECONDS = 300  # a client of its own process loads PyTorch, which takes minutes on a machine that is busy


def looks(look: Callable[[], list[Found]], run: RunFolder) -> Iterator[list[Found]]:
    """What is found at each look for replies, none included.

    Args:
        look: looks.
        run: whose stop is heeded.

    Raises:
        StoppedError: when ``run.stop`` was set.
    """
    while True:
        begun = time.thread_time()
        found = look()
        pause = POLL_TIMES * (time.thread_time() - begun)
        yield found
        if run.stop.is_set():
            run.stop_file.touch()
            raise StoppedError
        if not found:
            time.sleep(max(pause, POLL_SECONDS))


class Post:
    """Tasks on their way to the clients, with weights only where a worker has asked for them.

    Any worker may serve any client, so the weights for one worker can end up at another one. Until they have arrived
    somewhere, further tasks that this worker cannot start without them are held back, not sent again and again.

    Args:
        grid: Flower's way to the clients.
        nodes: the node of each client.
        published: where the tasks start, by seed.
    """

    def __init__(self, grid: Grid, nodes: list[int], published: list[Published]) -> None:
        self.nodes = nodes
        self._grid = grid
        self.published = published
        self._digests = [digest(each) for each in published]
        self._sent: dict[str, tuple[CellTask, int]] = {}
        self._fresh = set(range(len(published)))  # seeds whose weights no worker has seen
        self._carrying: dict[str, tuple[int, str]] = {}  # messages with weights: their seed, and who asked for them
        self._held: list[tuple[CellTask, int]] = []

    def send(self, task: CellTask, client: int, asked_by: str = "") -> None:
        """Send a task to a client, with weights if a worker asked for them, or surely none has them."""
        with_weights = bool(asked_by) or task.seed in self._fresh
        self._fresh.discard(task.seed)
        content = pack_task(task, self._digests[task.seed], self.published[task.seed] if with_weights else None)
        (message_id,) = self._grid.push_messages([Message(content, self.nodes[client], MessageType.EVALUATE)])
        self._sent[message_id] = task, client
        if with_weights:
            self._carrying[message_id] = task.seed, asked_by

    def receive(self) -> Iterator[tuple[CellTask, int, pd.DataFrame | Failure]]:
        """The replies that have come in, each to its task from a client; empty when there are none yet."""
        for message in self._grid.pull_messages(list(self._sent)):
            message_id = message.metadata.reply_to_message_id
            task, client = self._sent.pop(message_id)
            arrived = self._carrying.pop(message_id, None)
            if message.has_error():
                yield task, client, Failure(client, task.strategy, "", one_line(message.error.reason))
            elif not isinstance(reply := unpack_reply(message.content), WeightsWanted):
                yield task, client, reply
            elif (task.seed, reply.worker) in self._carrying.values():
                self._held.append((task, client))
            else:
                self.send(task, client, reply.worker)
            if arrived:
                free = [held for held in self._held if held[0].seed == task.seed]
                self._held = [held for held in self._held if held[0].seed != task.seed]
                for held in free:
                    self.send(*held)


def find_clients(grid: Grid, run: RunFolder) -> list[int]:
    """Ask who holds which partition, until every partition has its client: the node of each.

    Raises:
        FedctrError: when they do not come up in time, or are more than there are users.
        StoppedError: when ``run.stop`` was set.
    """
    run.reporter.phase("clients")
    asked: set[int] = set()
    pending: list[str] = []
    holders: dict[int, int] = {}
    expected = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not expected or len(holders) < expected:
        fresh = set(grid.get_node_ids()) - asked
        asked |= fresh
        pending += grid.push_messages([Message(RecordDict(), node, MessageType.QUERY) for node in fresh])
        replies = list(grid.pull_messages(pending))
        for message in replies:
            if message.has_error():
                raise FedctrError(f"a client could not start: {one_line(message.error.reason)}")
            pending.remove(message.metadata.reply_to_message_id)
            facts = message.content.config_records["client"]
            holders[int(str(facts["partition"]))] = message.metadata.src_node_id
            expected = int(str(facts["partitions"]))
        if run.stop.is_set():
            raise StoppedError
        if time.monotonic() > deadline:
            raise FedctrError(
                f"{len(holders)} of {expected or 'the'} clients answered within {PATIENCE_SECONDS} s; is the machine "
                "busy with other work? Run it again to go on"
            )
        if not replies:
            time.sleep(POLL_SECONDS)
    if expected > run.dataset.users:
        raise FedctrError(f"{expected:,} clients for {run.dataset.users:,} users; start fewer")
    return [holders[partition] for partition in range(expected)]


def replies(grid: Grid, run: RunFolder, sent: dict[str, int], seconds: float = inf) -> Iterator[tuple[int, Message]]:
    """Replies to messages as they come in, each with its client.

    Args:
        grid: Flower's way to the clients.
        run: whose stop is heeded.
        sent: the client of each message that was pushed; those that have not replied in time are left there.
        seconds: how long to wait.

    Raises:
        StoppedError: when ``run.stop`` was set.
    """
    deadline = time.monotonic() + seconds
    for found in looks(lambda: list(grid.pull_messages(list(sent))), run):
        for message in found:
            yield sent.pop(message.metadata.reply_to_message_id), message
        if not sent or (not found and time.monotonic() > deadline):
            return


def one_line(text: str | None) -> str:
    """The last line of an error's text, which is what it comes down to."""
    lines = [line.strip() for line in (text or "no reason given").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
