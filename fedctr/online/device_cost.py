"""What a strategy costs a device, measured on single devices with the plain engine: a device has nobody beside it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch.utils.flop_counter import FlopCounterMode

from fedctr import loop
from fedctr.cohort import Cohort
from fedctr.engine import working_set
from fedctr.features import Features
from fedctr.holdout import held_out
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, share_held_out
from fedctr.threads import single_thread

NUMBER_BYTES = 4  # of a float32, and of a code


@dataclass(frozen=True)
class DeviceCost:
    """What one night costs a device, and what it is sent.

    Attributes:
        samples: on the device, the mean over those that were measured.
        seconds: of fine-tuning on one core of this machine, the median.
        operations: floating-point operations of the matrix products of fine-tuning, the mean.
        memory_bytes: of the weights that are copied and of what a step of fine-tuning keeps of the forward pass.
        published_bytes: of what is sent down whenever a model is published: its weights, and the global CTR if the
            strategy reads it.
        visit_bytes: of what is sent down on a visit: the features of the candidates, which the device ranks itself.
        bytes_up: of what is sent up beyond the log of what was shown and clicked, which the service keeps anyway.
    """

    samples: float
    seconds: float
    operations: float
    memory_bytes: int
    published_bytes: int
    visit_bytes: int
    bytes_up: int = 0


NOTHING = DeviceCost(0.0, 0.0, 0.0, 0, 0, 0)  # the cloud ranks


def device_cost(
    published: Published, strategy: ClientStrategy, features: Features, recipe: Recipe, users: Sequence[int]
) -> DeviceCost:
    """Fine-tune some devices one by one, and take note.

    Args:
        published: the model.
        strategy: what the devices do.
        features: what they hold; test parts are the candidates of a visit.
        recipe: how they fine-tune.
        users: rows of the data set, with at least one sample each.
    """
    if not strategy.tunes:
        return NOTHING
    watched = _Watched(published)
    share = share_held_out(strategy)
    nights = [held_out(features, share), features] if share else [features]  # a dry run comes first
    with single_thread():
        measured = [_night(watched, strategy, nights, recipe, user) for user in users]
        few = Cohort.build(features, np.array(users[:1]), "train", recipe.batch_size, published.model.reads)
        memory = working_set(published.model, few)
    seconds, operations = zip(*measured, strict=True)
    candidates = np.subtract(*features.split.bounds("test")[::-1])[list(users)]
    weights = sum(value.numel() * value.element_size() for value in published.model.state_dict().values())
    return DeviceCost(
        samples=float(features.local_samples[np.array(users) - features.users.start].mean()),
        seconds=float(np.median(seconds)),
        operations=float(np.mean(operations)),
        memory_bytes=memory,
        published_bytes=weights + NUMBER_BYTES * ("global_ctr" in watched.read),
        visit_bytes=int(candidates.max()) * features.dataset.item_codes.shape[1] * NUMBER_BYTES,
    )


def _night(
    published: "_Watched", strategy: ClientStrategy, nights: Sequence[Features], recipe: Recipe, user: int
) -> tuple[float, float]:
    """Seconds and floating-point operations of one device."""

    def work() -> None:
        for features in nights:
            for _ in loop.fine_tune(cast(Published, published), strategy, features, user, recipe):
                pass

    with FlopCounterMode(display=False) as counter:
        work()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun, float(counter.get_total_flops())


class _Watched:
    """What is published, and which of its attributes somebody has read."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._published, name)
