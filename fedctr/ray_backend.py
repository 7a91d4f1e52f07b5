"""Flower's Ray backend, made to survive the death of a worker or of a whole node, and the way of messages to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Event

import ray
from flwr.app import Context, Message, MessageType, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.client_app import ClientAppException
from flwr.server.superlink.fleet.vce import vce_api
from flwr.server.superlink.fleet.vce.backend import raybackend
from flwr.server.superlink.linkstate import LinkState
from flwr.simulation.ray_transport.ray_actor import pool_size_from_resources

from fedctr.messages import name_of_published, share_of_published, wants_weights

PASS_ON_SECONDS = 0.01  # between two looks for messages to pass on, while workers have none to take


class TaskBackend(raybackend.RayBackend):
    """Every message is a Ray task, which Ray itself runs again, three times by default, when its worker dies.

    Flower's own backend keeps a pool of Ray actors. It puts a dead one back as the next to be used, and from then on
    that one fails every message at once.

    Any worker may take a message, so weights that the server sends to one can end up at another. A worker that lacks
    what has come by before therefore gets it from Ray's object store, which holds it once for each node.
    """

    def build(self, app_fn: Callable[[], ClientApp]) -> None:
        """Share the client app with all workers, of which there are as many as fit into the cluster."""
        self._workers = pool_size_from_resources(self.client_resources)
        self._app = ray.put(app_fn())
        self._published: dict[str, ray.ObjectRef[RecordDict]] = {}
        # max_calls: a worker that has a GPU would otherwise end after every task, and forget what it has loaded.
        cpus, gpus = (self.client_resources[key] for key in ("num_cpus", "num_gpus"))
        self._answer = ray.remote(num_cpus=cpus, num_gpus=gpus, max_calls=0)(_answer)

    @property
    def num_workers(self) -> int:
        """How many messages are processed at once."""
        return self._workers

    def process_message(self, message: Message, context: Context) -> tuple[Message, Context]:
        """Have a worker answer a message."""
        answer = self._asked(message, context)
        if wants_weights(answer[0]) and self._shared(message):  # which have come by in the meantime
            answer = self._asked(message, context)
        return answer

    def _asked(self, message: Message, context: Context) -> tuple[Message, Context]:
        answer: tuple[Message, Context] = ray.get(
            self._answer.remote(self._app, message, context, self._shared(message))
        )
        return answer

    def _shared(self, message: Message) -> "list[ray.ObjectRef[RecordDict]]":
        """What the task starts from, if it has come by; in a list, where Ray leaves it until somebody asks."""
        if message.metadata.message_type != MessageType.EVALUATE:
            return []  # a round of training has weights of its own, and they are in each of its messages
        name, published = name_of_published(message.content), share_of_published(message.content)
        if published and name not in self._published:
            self._published[name] = ray.put(published)
        return [self._published[name]] if name in self._published else []


def _answer(
    app: ClientApp, message: Message, context: Context, published: "list[ray.ObjectRef[RecordDict]]"
) -> tuple[Message, Context]:
    try:
        answer = app(message, context)
        if published and wants_weights(answer):
            for key, record in ray.get(published[0]).items():
                message.content[key] = record
            answer = app(message, context)
        return answer, context
    except Exception as error:
        raise ClientAppException(str(error)) from error


def pass_on(state: LinkState, queue: "Queue[Message]", nodes_mapping: dict[int, int], f_stop: Event) -> None:
    """Put the next message for each node where workers take it from, once these have taken all before.

    Flower's own sleeps a tenth of a second in between, so no more than ten tasks a second get through, however small;
    and it searches all messages that are on their way while the workers have more than enough to do.

    Args:
        state: where messages wait.
        queue: where workers take them from.
        nodes_mapping: the partition of each node.
        f_stop: set when the simulation is over.
    """
    while not f_stop.is_set():
        if queue.empty():
            for node in nodes_mapping:
                for message in state.get_message_ins(node, limit=1):
                    queue.put(message)
        f_stop.wait(PASS_ON_SECONDS)


@contextmanager
def in_place_of_flowers() -> Iterator[None]:
    """Put both in the place of Flower's, which offers no way to choose others, until the block is left."""
    backend, add_messages = raybackend.RayBackend, vce_api.add_messages_to_queue
    raybackend.RayBackend = TaskBackend  # type: ignore[misc]
    vce_api.add_messages_to_queue = pass_on
    try:
        yield
    finally:
        raybackend.RayBackend = backend  # type: ignore[misc]
        vce_api.add_messages_to_queue = add_messages
