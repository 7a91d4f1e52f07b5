"""The compiled engine: private copies of a model, fine-tuned and scored one user after the other.

It takes every model whose forward pass :mod:`fedctr.fused.recording` can record, on the CPU; :mod:`fedctr.engine` does
the rest. Where a strategy has a loss, logits, a penalty or adapters of its own, or the optimiser is Adam, PyTorch has a
part in every step, of some users at once (:mod:`fedctr.fused.stepwise`).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedctr.cohort import Cohort, block_of, local_samples, padded_length
from fedctr.data.split import Part
from fedctr.features import Features, Rows
from fedctr.fused import kernel
from fedctr.fused.compiled import is_kept
from fedctr.fused.layout import Layout, Most, aligned_zeros
from fedctr.fused.people import Collected, most_clicks, source_of
from fedctr.fused.plan import WIDTH
from fedctr.fused.recording import recording_of
from fedctr.fused.state import Devices, Flags, Labels, People, Training, Words
from fedctr.fused.stepwise import Stepwise
from fedctr.fused.tiles import Floats
from fedctr.judgement import Columns, Logits
from fedctr.published import Published
from fedctr.randomness import stream
from fedctr.recipe import Optimiser, Recipe
from fedctr.strategy import ClientStrategy, Local, has_own_loss, overrides, reads_representations, soft_labels
from fedctr.task import Device
from fedctr.tuning import Tuning

TOGETHER = 1 << 16  # places for the samples of users that are collected at once
STEPWISE = 64  # users at most whose steps go side by side


def takes(published: Published, device: Device) -> bool:
    """Whether the compiled engine does the work."""
    return device == "cpu" and recording_of(published) is not None


def goes_stepwise(strategy: ClientStrategy, optimiser: Optimiser) -> bool:
    """Whether PyTorch has a part in every step."""
    own = has_own_loss(strategy) or overrides(strategy, "penalty") or overrides(strategy, "adapter")
    return own or optimiser != "sgd"


def is_ready(strategy: ClientStrategy, optimiser: Optimiser) -> bool:
    """Whether what a strategy takes is compiled and kept on this machine."""
    return is_kept("kernel.descend" if goes_stepwise(strategy, optimiser) else "kernel.fine_tune")


class Fused:
    """A published model that :func:`takes` says yes to, for the users of a partition.

    Args:
        published: the model.
        features: the users and their samples.
        part: what is scored.
        batch_size: samples in a step of fine-tuning.
        optimiser: that moves the weights.
    """

    def __init__(
        self, published: Published, features: Features, part: Part, batch_size: int, optimiser: Optimiser
    ) -> None:
        recording, block = recording_of(published), block_of(batch_size)
        assert recording is not None
        train, scored = (
            [bound[features.users.start : features.users.stop] for bound in features.split.bounds(which)]
            for which in ("train", part)
        )
        places = [
            int(padded_length(stops - starts + spare, block).max(initial=0))
            for (starts, stops), spare in ((train, 1), (scored, 0))
        ]
        most = Most(block, most_clicks(features), *places)
        self.layout = Layout.of(published.model, published.schema, recording, most)
        self.bench, self.one = self.layout.bench(), self.layout.devices(1)
        self._devices, self._gradients = self.one, aligned_zeros(1, self.layout.weights)
        self.published, self.batch_size, self.optimiser = published, batch_size, optimiser
        self.features, self.part = features, part
        self.source, self.parameters = source_of(features), dict(published.model.named_parameters())

    def size(self, strategy: ClientStrategy, users: Rows, length: int) -> int:
        """As many as it takes for the rest to cost little beside the kernel."""
        most = max(TOGETHER // length, 1)
        return min(most, STEPWISE) if goes_stepwise(strategy, self.optimiser) else most

    def side_by_side(self, users: int) -> tuple[Devices, Floats]:
        """Devices for users whose steps go side by side, two at least, and room for gradients of their weights."""
        count = max(users, 2)
        # One group after the other has the same: the system would be as long about new ones as the kernel is scoring.
        if count > len(self._gradients):
            self._devices, self._gradients = self.layout.devices(count), aligned_zeros(count, self.layout.weights)
        return Devices._make(each[:count] for each in self._devices), self._gradients[:count]

    def group(self, users: Rows, seed: int) -> "FusedGroup":
        """Collect the samples of users."""
        return FusedGroup(self, Collected.of(self.source, self.features, users, self.part, self.batch_size), seed)


@dataclass(frozen=True, eq=False)
class FusedGroup:
    """Some users of one padded length.

    Attributes:
        engine: what computes them.
        samples: theirs.
        seed: of what strategies draw at random.
    """

    engine: Fused
    samples: Collected
    seed: int

    @property
    def columns(self) -> Columns:
        """What is known of each user."""
        return {
            "user": self.samples.users,
            "samples": self.samples.people.scored,
            "positives": self.samples.scored_positives,
            "local_samples": self.samples.people.held,
            "local_positives": self.samples.positives,
        }

    @cached_property
    def local(self) -> Local:
        """What their devices hold, as a strategy sees it."""
        labels, mask = torch.from_numpy(self.samples.labels), torch.from_numpy(self.samples.mask)
        return local_samples(self.samples.users, labels, mask, self.seed, self._predicted)

    @property
    def mask(self) -> Flags:
        """Where there are samples to be scored, (users, samples)."""
        return self.samples.scored_mask

    @property
    def labels(self) -> Labels:
        """Of these, (users, samples)."""
        return self.samples.scored_labels

    def logits(self, strategy: ClientStrategy, recipe: Recipe, epochs: Collection[int]) -> Iterator[tuple[int, Logits]]:
        """Fine-tune, and score after some epochs.

        What a strategy sees in PyTorch is made only for one that has a say there.
        """
        layout, samples = self.engine.layout, self.samples
        kept = np.array([epoch in epochs for epoch in range(recipe.epochs + 1)])
        if not recipe.epochs:
            if 0 in epochs:
                represents = layout.representation >= 0 and reads_representations(strategy)
                found = self._represented if represents else self._published(samples.people, layout.plan.logits)
                yield 0, found[..., 0]
            return
        assert recipe.optimiser == self.engine.optimiser  # by which the engine has chosen how many users there are
        tuning = Tuning.of(strategy, self.engine.parameters, recipe.seed)
        training = layout.training(tuning.parameters, recipe.learning_rate)
        if goes_stepwise(strategy, recipe.optimiser):
            devices, gradients = self.engine.side_by_side(len(samples.users))
            steps = Stepwise(
                layout, self.engine.bench, self.engine.published, samples, self.local, strategy, tuning, training,
                devices, gradients,
            )  # fmt: skip
            for epoch, _ in enumerate(steps.epochs(recipe, self._targets(strategy))):
                if kept[epoch]:
                    yield epoch, steps.score(samples.people)
        else:
            targets = samples.labels
            if overrides(strategy, "targets"):
                targets = self._targets(strategy)[: len(samples.users)].contiguous().numpy()
            names = [f"shuffle {epoch}" for epoch in range(1, recipe.epochs + 1)]
            streams = np.concatenate([stream(recipe.seed, name) for name in names])
            found = self._one_by_one(samples.people, training, kept, streams, targets, layout.plan.logits)
            yield from zip(np.flatnonzero(kept).tolist(), found[..., 0], strict=True)

    def _targets(self, strategy: ClientStrategy) -> Tensor:
        """Soft labels float32 (users, samples), the users repeated as in ``local``; 0 in the padding."""
        return torch.where(self.local.mask, soft_labels(strategy, self.local, self.engine.published), 0.0)

    def represent(self) -> tuple[Tensor, Tensor]:
        """The published model's penultimate layer; in PyTorch where that is one of the model's own making."""
        engine, users = self.engine, self.samples.users
        if (number := engine.layout.representation) >= 0:
            return torch.from_numpy(self._represented[..., 1:]), torch.from_numpy(self._published(self._locals, number))
        model = engine.published.model
        cohort = Cohort.build(engine.features, users, engine.part, engine.batch_size, model.reads)
        scored, train = cohort.represent(model)
        return scored[: len(users)], train[: len(users)]

    def _one_by_one(
        self,
        people: People,
        training: Training,
        kept: Flags,
        streams: Words,
        targets: npt.NDArray[np.float32],
        *read: int,
    ) -> Logits:
        """Values (times of scoring, users, samples, columns); see :func:`fedctr.fused.kernel.fine_tune`."""
        engine, values = self.engine, np.array(read)
        columns = int(engine.layout.plan.values[values, WIDTH].sum())
        found = np.zeros((int(kept.sum()), *people.asked.shape, columns), dtype=np.float32)
        rows = engine.layout.rows(self.samples.mask.shape[1])
        kernel.fine_tune(
            engine.layout.plan, people, rows, engine.one, engine.bench, training, kept, engine.batch_size, streams,
            targets, values, found,
        )  # fmt: skip
        return found

    @cached_property
    def _represented(self) -> Logits:
        """The published model's logits of what is scored, and beside them its penultimate layer; made in one go."""
        layout = self.engine.layout
        return self._published(self.samples.people, layout.plan.logits, layout.representation)

    def _published(self, people: People, *read: int) -> Logits:
        """Values of the published model of the samples that are asked for, float32 (users, samples, columns)."""
        no_steps, no_targets = np.zeros(0, dtype=np.uint64), np.zeros((1, 1), dtype=np.float32)
        training = self.engine.layout.training((), 0.0)
        found: Logits = self._one_by_one(people, training, np.array([True]), no_steps, no_targets, *read)[0]
        return found

    def _predicted(self) -> Tensor:
        """The published model's logits of the local samples, float32 (users, samples)."""
        return torch.from_numpy(self._published(self._locals, self.engine.layout.plan.logits)[..., 0])

    @property
    def _locals(self) -> People:
        """The same people, who ask for their local samples."""
        people = self.samples.people
        return people._replace(asked=people.local, scored=people.held)
