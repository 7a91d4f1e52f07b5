"""Flower's Ray backend, made to survive the death of a worker or of a whole node of a cluster."""

from collections.abc import Callable

import ray
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.clientapp.client_app import ClientAppException
from flwr.server.superlink.fleet.vce.backend import raybackend
from flwr.simulation.ray_transport.ray_actor import pool_size_from_resources


class TaskBackend(raybackend.RayBackend):
    """Every message is a Ray task, which Ray itself runs again, three times by default, when its worker dies.

    Flower's own backend keeps a pool of Ray actors. It puts a dead one back as the next to be used, and from then on
    that one fails every message at once.
    """

    def build(self, app_fn: Callable[[], ClientApp]) -> None:
        """Share the client app with all workers, of which there are as many as fit into the cluster."""
        self._workers = pool_size_from_resources(self.client_resources)
        self._app = ray.put(app_fn())
        # max_calls: a worker that has a GPU would otherwise end after every task, and forget what it has loaded.
        cpus, gpus = (self.client_resources[key] for key in ("num_cpus", "num_gpus"))
        self._answer = ray.remote(num_cpus=cpus, num_gpus=gpus, max_calls=0)(_answer)

    @property
    def num_workers(self) -> int:
        """How many messages are processed at once."""
        return self._workers

    def process_message(self, message: Message, context: Context) -> tuple[Message, Context]:
        """Have a worker answer a message."""
        answer: tuple[Message, Context] = ray.get(self._answer.remote(self._app, message, context))
        return answer


def _answer(app: ClientApp, message: Message, context: Context) -> tuple[Message, Context]:
    try:
        return app(message, context), context
    except Exception as error:
        raise ClientAppException(str(error)) from error


def use_retried_tasks() -> None:
    """Put this backend in the place of Flower's, which offers no way to choose another one."""
    raybackend.RayBackend = TaskBackend  # type: ignore[misc]
