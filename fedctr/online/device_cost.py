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
from fedctr.recipe import Optimiser, Recipe
from fedctr.strategy import ClientStrategy, overrides, reads_representations, share_held_out
from fedctr.threads import single_thread
from fedctr.tuning import Tuning

NUMBER_BYTES = 4  # of a float32, and of a code
MOMENTS: dict[Optimiser, int] = {"sgd": 0, "adam": 2}  # that an optimiser keeps of every number that it moves


@dataclass(frozen=True)
class DeviceCost:
    """What one night costs a device, and what it is sent.

    Attributes:
        samples: on the device, the mean over those that were measured.
        seconds: of a dry run and of fine-tuning on one core of this machine, the median.
        operations: floating-point operations of the matrix products of both, the mean.
        memory_bytes: of the numbers that are tuned, with as many rows of tables as the cohort engine copies, and the
            weights that adapters make of them; of the moments that the optimiser keeps of them; of what a step of
            fine-tuning keeps of the forward pass; and of the representations of local samples, if the strategy reads
            them.
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
    """Let some devices do one by one what they do in a night, and take note.

    Args:
        published: the model.
        strategy: what the devices do.
        features: what they hold; test parts are the candidates of a visit.
        recipe: how they fine-tune.
        users: rows of the data set, with at least one sample each.
    """
    if not _ranks_itself(strategy):
        return NOTHING
    watched = _Watched(published)
    with single_thread():
        measured = [_night(watched, strategy, features, recipe, user) for user in users]
        memory = _memory(published, strategy, features, recipe, users[0])
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


def _ranks_itself(strategy: ClientStrategy) -> bool:
    """Whether a device has something to rank by that the cloud has not: a private copy, or a memory of its samples."""
    return strategy.tunes or overrides(strategy, "candidates")


def _night(
    watched: "_Watched", strategy: ClientStrategy, features: Features, recipe: Recipe, user: int
) -> tuple[float, float]:
    """Seconds and floating-point operations of one device."""
    published, share = cast(Published, watched), share_held_out(strategy)
    earlier = held_out(features, share) if share else None

    def work() -> None:
        if earlier is not None:  # a dry run comes first
            loop.candidates(published, strategy, earlier, user, recipe, "validation")
        if strategy.tunes:
            for _ in loop.fine_tune(published, strategy, features, user, recipe):
                pass

    with FlopCounterMode(display=False) as counter:
        work()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun, float(counter.get_total_flops())


def _memory(published: Published, strategy: ClientStrategy, features: Features, recipe: Recipe, user: int) -> int:
    """Bytes that one device needs beside what it is sent and its samples."""
    model, needed = published.model, 0
    cohort = Cohort.build(features, np.array([user]), "train", recipe.batch_size, model.reads)
    if strategy.tunes:
        tuning = Tuning.of(strategy, dict(model.named_parameters()), recipe.seed)
        numbers = sum(value[0].numel() for value in tuning.begin(cohort.stack(model)).values())
        needed += working_set(model, cohort, tuning) + MOMENTS[recipe.optimiser] * numbers * NUMBER_BYTES
    if reads_representations(strategy):
        _, local = cohort.represent(model)
        needed += int(features.local_samples[user - features.users.start]) * local.shape[2] * NUMBER_BYTES
    return needed


class _Watched:
    """What is published, and which of its attributes somebody has read."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._published, name)
