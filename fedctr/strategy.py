"""The contract that every client strategy meets."""

from abc import ABC
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr.adapter import Adapter
from fedctr.fingerprint import fingerprint
from fedctr.hyperparameters import is_number
from fedctr.judgement import Integers, Judged
from fedctr.published import Published
from fedctr.registry import Registry
from fedctr.scored import Scored

DIVERGING = 50.0  # a logit beyond it belongs to a model on its way out of range


@dataclass(frozen=True, eq=False)
class Local:
    """Local samples of some users, each in its own row; rows are padded to equal length.

    While fine-tuning it holds a minibatch; ``ctr``, ``positives`` and ``samples`` always speak of all local samples.

    Attributes:
        labels: float32 (users, samples), 0 or 1; 0 in the padding.
        mask: bool (users, samples), False in the padding.
        positives: float32 (users, 1), positives among all local samples.
        samples: float32 (users, 1), all local samples.
        ctr: float32 (users, 1), the local CTR; 0 for a user without samples.
        predict: gives ``published_logits``.
        random: draws a number from 0 to below 1 for each user, float32 (users, 1), evenly. It is given the name of what
            the number is for, and depends on that, the seed and the user alone, never on the minibatch or the cohort.
    """

    labels: Tensor
    mask: Tensor
    positives: Tensor
    samples: Tensor
    ctr: Tensor
    predict: Callable[[], Tensor]
    random: Callable[[str], Tensor]

    @cached_property
    def published_logits(self) -> Tensor:
        """The published model's logits on these samples, float32 (users, samples); computed only if asked for."""
        return self.predict()

    def at(self, positions: Tensor) -> "Local":
        """The minibatch at int64 (users, samples) positions, of which -1 stands for padding."""
        real, positions = positions >= 0, positions.clamp(min=0)
        return Local(
            labels=self.labels.gather(1, positions) * real,
            mask=self.mask.gather(1, positions) & real,
            positives=self.positives,
            samples=self.samples,
            ctr=self.ctr,
            predict=lambda: self.published_logits.gather(1, positions),
            random=self.random,
        )

    def block(self, first: int, length: int, users: int) -> "Local":
        """The minibatch of neighbouring samples of the first users."""
        return Local(
            labels=self.labels[:users, first : first + length],
            mask=self.mask[:users, first : first + length],
            positives=self.positives[:users],
            samples=self.samples[:users],
            ctr=self.ctr[:users],
            predict=lambda: self.published_logits[:users, first : first + length],
            random=lambda stage: self.random(stage)[:users],
        )

    def mean(self, values: Tensor) -> Tensor:
        """Mean over each user's samples, (users, samples) to (users, 1); 0 for a user without samples."""
        return (values * self.mask).sum(1, keepdim=True) / self.mask.sum(1, keepdim=True).clamp(min=1)


class ClientStrategy(ABC):
    """What a client does between receiving the published model and scoring.

    A subclass is a frozen dataclass whose fields are its hyperparameters; it overrides the hooks that it differs in.
    Every hook sees some users at once, one in each row, and must treat each as if it were alone.

    Attributes:
        name: what people type.
        citation: where the method was published.
        tunes: False to score the published model as it is.
        reads_targets: False if the loss goes by the labels alone, so that softening them would change nothing.
        reads_level: False if the loss goes by the differences between a user's logits alone.
        reads_representations: True to be refused where a model has no penultimate layer.
        moves_level: True if all that it does is to move the logits of a user by one and the same number.
        corrects_prior: True if its targets, logits or loss correct the user's prior, which is not to be done twice.
    """

    name: ClassVar[str]
    citation: ClassVar[str] = ""
    tunes: ClassVar[bool] = True
    reads_targets: ClassVar[bool] = True
    reads_level: ClassVar[bool] = True
    reads_representations: ClassVar[bool] = False
    moves_level: ClassVar[bool] = False
    corrects_prior: ClassVar[bool] = False

    def targets(self, local: Local, published: Published) -> Tensor:
        """Soft labels to fit, float32 (users, samples), from all local samples; called once before tuning."""
        return local.labels

    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        """The logits (users, samples) that the loss sees while tuning; scoring uses the model's own."""
        return logits

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        """Loss of every sample of a minibatch, float32 (users, samples); its mean over a user's samples counts."""
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor | None:
        """What is added to each user's loss, float32 (users,), or None.

        Add up what several parameters contribute with Python's ``sum``: PyTorch's, over a stack of them, rounds by
        a user's place in the cohort.

        Args:
            parameters: the tuned parameters, each (users, *shape); an embedding table has the rows that the user's
                samples use, padded with equal rows in both. They need not be contiguous: ``reshape`` or ``flatten``
                them.
            origin: the same parameters as they were published, in the same shapes.
        """
        return None

    def trainable(self, parameter: str) -> bool:
        """Whether a device may change the parameter of this name."""
        return True

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        """Which of the model's parameters a device may change, where a name alone does not tell.

        Raises:
            ValueError: when the model has none of the kind.
        """
        return [name for name in parameters if self.trainable(name)]

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter | None:
        """What a device tunes in the place of a parameter that it may change; None for the parameter itself.

        Args:
            name: of the parameter.
            weight: as it was published, float32; of an embedding table, devices have no more rows than they use.
            seed: for numbers drawn at random by :mod:`fedctr.randomness`, such as all devices agree on.
        """
        return None

    def candidates(self, scored: Scored, local: Local, published: Published) -> Tensor:
        """Logits that a device can choose from to rank its samples by, float32 (candidates, users, samples).

        Every sample stands for itself: how many are scored together, and which, is not to be relied on. If a device
        can keep the published model, that comes first.

        Args:
            scored: the samples, as the published model and the user's own score them.
            local: all local samples, or in a dry run those that are not held out.
            published: the model and the global CTR.
        """
        return scored.tuned.unsqueeze(0)

    def held_out(self) -> float:
        """Share of each user's latest local samples to judge the candidates by; 0 if there is but one of them.

        What is held out is kept from a dry run: fine-tuning on the earlier samples alone. Then it is done again on
        all local samples, and the candidate that was chosen in the dry run is the one that counts.
        """
        return 0.0

    def choose(self, judged: Judged) -> Integers:
        """Which of the candidates each user takes, int64 (users,), asked only if something is held out.

        Without a say of the strategy, that of the least log loss; of equals, or with nothing held out, the first.
        """
        first: Integers = judged.log_loss.argmin(0)
        return first

    def components(self) -> tuple["ClientStrategy", ...]:
        """The strategies that this one is made of: itself, unless it is composed."""
        return (self,)


def code_of(strategy: ClientStrategy) -> list[str]:
    """Identifies the code of a strategy, and of all that it is made of: another text, another code."""
    classes = dict.fromkeys(type(part) for part in (strategy, *strategy.components()))
    return [fingerprint(cls) for cls in classes]


def overrides(strategy: ClientStrategy, hook: str) -> bool:
    """Whether a strategy, or one that it is made of, differs from plain fine-tuning in a hook."""
    return any(getattr(type(part), hook) is not getattr(ClientStrategy, hook) for part in strategy.components())


def reads_representations(strategy: ClientStrategy) -> bool:
    """Whether it, or one that it is made of, says that it reads the penultimate layer."""
    return any(part.reads_representations for part in strategy.components())


def has_own_loss(strategy: ClientStrategy) -> bool:
    """Whether its loss is not the contract's own on the model's logits as they are."""
    return overrides(strategy, "loss") or overrides(strategy, "logits")


def minibatch_loss(
    strategy: ClientStrategy, logits: Tensor, targets: Tensor, local: Local, published: Published
) -> Tensor:
    """Each user's loss on a minibatch, (users,): the mean over its samples, 0 where it has none.

    Raises:
        ValueError: when a hook returns a wrong shape, or NaN for a user whose model has not diverged.
    """
    sane = local.mask & (logits.abs() < DIVERGING).all(1, keepdim=True)

    def checked(hook: str, values: Tensor) -> Tensor:
        if not isinstance(values, Tensor):
            raise ValueError(f"{hook} returned {type(values).__name__}, expected a tensor")
        if values.shape != local.labels.shape:
            raise ValueError(f"{hook} returned shape {tuple(values.shape)}, expected {tuple(local.labels.shape)}")
        if (torch.isnan(values) & sane).any():
            raise ValueError(f"{hook} returned NaN")
        return values

    adjusted = checked("logits", strategy.logits(logits, local, published))
    losses = checked("loss", strategy.loss(adjusted, targets, local, published))
    return local.mean(torch.where(local.mask, losses, 0.0)).squeeze(1)


def cross_entropy_gradient(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """The gradient of :func:`minibatch_loss`, summed over users, for a strategy with the contract's own loss.

    Each logit's is ``(sigmoid(f) - target) / samples of the user``, (users, samples); 0 outside the mask.
    """
    share = mask / mask.sum(1, keepdim=True).clamp(min=1)
    return (logits.sigmoid() - targets) * share


def trainable_of(strategy: ClientStrategy, parameters: Iterable[str]) -> list[str]:
    """Names of the parameters that the strategy tunes.

    Raises:
        ValueError: when there is none, or one that the model does not have.
    """
    parameters = list(parameters)
    chosen = strategy.chosen(parameters)
    if unknown := [name for name in chosen if name not in parameters]:
        raise ValueError(f"chosen named {unknown[0]!r}, which is none of the parameters {', '.join(parameters)}")
    if not chosen:
        raise ValueError(f"trainable chose none of the parameters {', '.join(parameters)}")
    return chosen


def added_penalty(
    strategy: ClientStrategy, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]
) -> Tensor | None:
    """What the strategy adds to each user's loss, (users,), or None.

    Raises:
        ValueError: when it is no tensor of this shape, or NaN for a user whose parameters are finite.
    """
    penalty = strategy.penalty(parameters, origin)
    if penalty is None:
        return None
    users = len(next(iter(parameters.values())))
    if not isinstance(penalty, Tensor) or penalty.shape != (users,):
        found = f"shape {tuple(penalty.shape)}" if isinstance(penalty, Tensor) else type(penalty).__name__
        raise ValueError(f"penalty returned {found}, expected shape {(users,)}")
    if torch.isnan(penalty).any():
        sane = torch.stack([value.isfinite().flatten(1).all(1) for value in parameters.values()]).all(0)
        if (torch.isnan(penalty) & sane).any():
            raise ValueError("penalty returned NaN")
    return penalty


def soft_labels(strategy: ClientStrategy, local: Local, published: Published) -> Tensor:
    """The strategy's targets, checked: float32 (users, samples), finite wherever there is a sample.

    Raises:
        ValueError: when they are not.
    """
    targets = strategy.targets(local, published)
    if not isinstance(targets, Tensor) or not targets.is_floating_point():
        found = targets.dtype if isinstance(targets, Tensor) else type(targets).__name__
        raise ValueError(f"targets returned {found}, expected a tensor of torch.float32")
    if targets.shape != local.labels.shape:
        raise ValueError(f"targets returned shape {tuple(targets.shape)}, expected {tuple(local.labels.shape)}")
    if not torch.isfinite(targets[local.mask]).all():
        raise ValueError("targets returned NaN or an infinite value")
    return targets


def share_held_out(strategy: ClientStrategy) -> float:
    """What :meth:`ClientStrategy.held_out` says, checked.

    Raises:
        ValueError: when it is no share from 0 to below 1.
    """
    share = strategy.held_out()
    if not is_number(share) or not 0 <= share < 1:
        raise ValueError(f"held_out returned {share!r}, expected a share from 0 to below 1")
    return share


strategies: Registry[ClientStrategy] = Registry("strategy", "strategies", "fedctr.strategies", ClientStrategy)
