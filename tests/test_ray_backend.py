"""The way of messages to Ray's workers, without Ray."""

from collections import Counter
from dataclasses import dataclass, field
from queue import Queue
from threading import Event
from typing import Any

from flwr.app import Message, RecordDict

from fedctr.ray_backend import pass_on

PARTITIONS = {11: 0, 12: 1, 13: 2}  # by node


@dataclass
class Waiting:
    """Messages that wait for their nodes, and how often they were searched."""

    tasks: int
    given: Counter[int] = field(default_factory=Counter)
    searches: int = 0

    def get_message_ins(self, node_id: int, limit: int) -> list[Message]:
        """The next message for a node."""
        self.searches += 1
        if self.given[node_id] == self.tasks:
            return []
        self.given[node_id] += 1
        return [Message(RecordDict(), node_id, f"evaluate.task{self.given[node_id]}")]


class Taken(Queue[Message]):
    """Workers have taken all after so many looks at it; once that has happened so many times the simulation ends."""

    def __init__(self, looks: int, times: int) -> None:
        super().__init__()
        self.looks, self.times, self.over = looks, times, Event()
        self.batches: list[list[tuple[int, str]]] = []
        self._seen = 0

    def empty(self) -> bool:
        """Whether it is."""
        if self.queue and self._seen < self.looks:
            self._seen += 1
            return False
        self._seen = 0
        if self.queue:
            taken = [self.get() for _ in range(self.qsize())]
            self.batches.append([(message.metadata.dst_node_id, message.metadata.message_type) for message in taken])
        if len(self.batches) == self.times:
            self.over.set()
        return True


def passed_on(waiting: Any, queue: Taken) -> None:
    pass_on(waiting, queue, PARTITIONS, queue.over)


def test_clients_get_a_task_each_before_any_gets_the_next() -> None:
    queue = Taken(looks=0, times=2)
    passed_on(Waiting(tasks=2), queue)
    assert queue.batches == [[(node, f"evaluate.task{task}") for node in PARTITIONS] for task in (1, 2)]


def test_messages_are_searched_only_once_workers_have_none_left_to_take() -> None:
    searches = []
    for looks in (0, 7):
        waiting = Waiting(tasks=3)
        passed_on(waiting, Taken(looks, times=3))
        searches.append(waiting.searches)
    assert searches == [(3 + 1) * len(PARTITIONS)] * 2  # the last one finds nothing
