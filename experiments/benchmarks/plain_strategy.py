"""The plain PyTorch loop with a strategy of fedctr: one user after the other, and the strategy's hooks on each.

Models, tensors made beforehand, weights reset in place, autograd and SGD are as in loop/run.py. What a strategy does
not tune is frozen, so that autograd spares its gradient; what it tunes by an adapter is parametrised; a dry run is
fine-tuning once more, on fewer samples. Of fedctr it needs the hooks, and none of the engines.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import plain_models
import torch
import workload
from plain import Batch, local_batch, test_batch, training_batches
from plain_tuning import tune
from torch import Tensor, nn
from work import Work, auc

from fedctr.data.dataset import Dataset
from fedctr.data.split import Split
from fedctr.judgement import Judged
from fedctr.models.model import Model
from fedctr.published import Published
from fedctr.randomness import uniform
from fedctr.scored import Scored
from fedctr.strategy import ClientStrategy, Local, overrides


@dataclass(frozen=True, eq=False)
class Person:
    """One user's tensors.

    Attributes:
        user: row of the data set.
        steps: each batch of the epoch, and which of the local samples it holds, int64 (1, samples).
        local: all samples to fine-tune on.
        asked: those to be ranked.
    """

    user: int
    steps: list[tuple[Batch, Tensor]]
    local: Batch
    asked: Batch


@dataclass(frozen=True, eq=False)
class People:
    """All users' tensors, beside the work that they were made of."""

    work: Work
    people: list[Person]

    @classmethod
    def build(cls, dataset: Dataset, parts: Split, model: Model) -> "People":
        """Those who fine-tune on the training part and rank the test part, with the workload's settings."""
        with tempfile.TemporaryDirectory() as scratch:
            workload.write_work(Path(scratch), dataset, parts, model)
            work = Work.read(Path(scratch))
        return cls(work, [_person(work, user) for user in range(work.users)])


def dry_parts(parts: Split, share: float) -> Split:
    """The parts of a dry run: what is held out of the training part is there to be ranked."""
    inner = parts.inner(share)
    return Split(inner.start, inner.train_end, inner.train_end, inner.validation_end)


class StrategyLoop:
    """Fine-tunes and ranks one user after the other.

    Args:
        strategy: its hooks.
        published: the model as hooks are shown it.
        real: all users.
        dry: the same in a dry run, if the strategy holds samples out.
    """

    def __init__(self, strategy: ClientStrategy, published: Published, real: People, dry: People | None) -> None:
        self.strategy, self.published, self.real, self.dry = strategy, published, real, dry
        self.origin, self.model = (plain_models.published_model(real.work) for _ in range(2))
        self.chosen = tune(self.model, strategy, published.model)
        self.tuned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.start = [parameter.detach().clone() for parameter in self.tuned]
        self.pulls = overrides(strategy, "penalty")
        self.origins = {name: place.of(self.origin).detach() for name, place in self.chosen.items()}
        self.optimiser = torch.optim.SGD(self.tuned, lr=real.work.learning_rate, fused=True)

        self.read = torch.empty(0)

        def remember(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            self.read = given[0]

        if published.model.represents:
            self.origin.mlp[-1].register_forward_pre_hook(remember)  # type: ignore[index, union-attr]

    def auc(self, user: int) -> float:
        """What the candidate that one user takes is worth on its test part; NaN if that is of one class."""
        person = self.real.people[user]
        chosen = self.choice(user)
        return auc(self.candidates(person)[chosen].numpy(), person.asked[-1].numpy())

    def choice(self, user: int) -> int:
        """Which candidate one user takes."""
        if self.dry is None:
            return 0
        person = self.dry.people[user]
        labels = person.asked[-1].numpy().astype(np.uint8)
        judged = Judged.of(self.candidates(person).numpy(), labels, np.array([len(labels)]))
        return int(self.strategy.choose(judged)[0])

    def candidates(self, person: Person) -> Tensor:
        """What one user can choose from, float32 (candidates, samples)."""
        local = self._local(person)
        *features, _ = person.asked
        has_own = overrides(self.strategy, "candidates")
        logits: list[Tensor] = []
        if has_own or not self.strategy.tunes:
            before, here = self._predict(person.asked)
            logits.append(before)
        if self.strategy.tunes:
            self._fine_tune(person, local)
            with torch.no_grad():
                logits.append(self.model(*features))
        if not has_own:
            return logits[-1].unsqueeze(0)
        scored = Scored(
            torch.stack(logits).unsqueeze(1),
            lambda: (here.unsqueeze(0), self._predict(person.local)[1].unsqueeze(0)),
        )
        with torch.no_grad():
            return self.strategy.candidates(scored, local, self.published).squeeze(1)

    def _fine_tune(self, person: Person, local: Local) -> None:
        """Set the weights back, and take a step on every batch."""
        with torch.no_grad():
            for parameter, start in zip(self.tuned, self.start, strict=True):
                parameter.copy_(start)
        targets = self.strategy.targets(local, self.published)
        for (*features, label), positions in person.steps:
            batch = _batch(local, label.unsqueeze(0), positions)
            logits = self.strategy.logits(self.model(*features).unsqueeze(0), batch, self.published)
            loss = self.strategy.loss(logits, targets.gather(1, positions), batch, self.published).mean()
            if self.pulls:
                values = {name: place.of(self.model) for name, place in self.chosen.items()}
                penalty = self.strategy.penalty(values, self.origins)
                loss = loss if penalty is None else loss + penalty.sum()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    @torch.no_grad()
    def _predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The published model's logits (samples,), and its penultimate layer (samples, width) if it has one."""
        *features, _ = batch
        return self.origin(*features), self.read

    def _local(self, person: Person) -> Local:
        """What hooks see of a user's samples to fine-tune on."""
        labels = person.local[-1].unsqueeze(0)
        positives, samples = labels.sum(1, keepdim=True), torch.tensor([[float(labels.shape[1])]])
        return Local(
            labels=labels,
            mask=torch.ones_like(labels, dtype=torch.bool),
            positives=positives,
            samples=samples,
            ctr=positives / samples.clamp(min=1),
            predict=lambda: self._predict(person.local)[0].unsqueeze(0),
            random=lambda stage: torch.from_numpy(uniform(workload.SEED, stage, np.array([person.user]))).unsqueeze(1),
        )


def _batch(local: Local, labels: Tensor, positions: Tensor) -> Local:
    """What hooks see of a batch; ``local.at`` is the same and makes the labels once more."""
    mask = local.mask[:, : labels.shape[1]]
    return replace(local, labels=labels, mask=mask, predict=lambda: local.published_logits.gather(1, positions))


def _person(work: Work, user: int) -> Person:
    first = work.train.of(user).start
    positions = (torch.from_numpy(rows - first).unsqueeze(0) for rows in work.training_rows(user))
    steps = list(zip(training_batches(work, user), positions, strict=True))
    return Person(user, steps, local_batch(work, user), test_batch(work, user))
