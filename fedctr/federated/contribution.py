"""A client's part in a round of federated training: local steps of its users, and the exact sum of their changes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fedctr.adapter import Adapter
from fedctr.cohort import Cohort, gather
from fedctr.distance import squared_distance
from fedctr.engine import fine_tune
from fedctr.engines import users_together
from fedctr.features import Features, Rows
from fedctr.federated.messages import MOST, Contribution, RoundTask, Terms, unit
from fedctr.federated.participation import Flags
from fedctr.federated.personal import PersonalFile, Values
from fedctr.personalise import blamed
from fedctr.published import Published
from fedctr.randomness import words
from fedctr.recipe import Recipe
from fedctr.stacking import Parameters
from fedctr.strategy import ClientStrategy, Local, trainable_of
from fedctr.threads import without_subnormals


@dataclass(frozen=True)
class Within(ClientStrategy):
    """A client strategy within a round: pulled towards the round's model, or on some of its parameters only.

    The pull is half its strength times the squared distance from the round's model, which is FedProx (Li et al.,
    Federated Optimization in Heterogeneous Networks, MLSys 2020, arXiv 1812.06127).

    Attributes:
        strategy: what is done without.
        pull: its strength.
        only: names of the parameters that may be changed; None for all.
    """

    name: ClassVar[str] = "within"

    strategy: ClientStrategy
    pull: float = 0.0
    only: frozenset[str] | None = None

    def targets(self, local: Local, published: Published) -> Tensor:
        """The strategy's own."""
        return self.strategy.targets(local, published)

    def logits(self, logits: Tensor, local: Local, published: Published) -> Tensor:
        """The strategy's own."""
        return self.strategy.logits(logits, local, published)

    def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
        """The strategy's own."""
        return self.strategy.loss(logits, targets, local, published)

    def penalty(self, parameters: Mapping[str, Tensor], origin: Mapping[str, Tensor]) -> Tensor | None:
        """The strategy's own and the pull."""
        penalty = self.strategy.penalty(parameters, origin)
        if not self.pull:
            return penalty
        pull = self.pull / 2 * squared_distance(parameters, origin)
        return pull if penalty is None else penalty + pull

    def chosen(self, parameters: Sequence[str]) -> list[str]:
        """What the strategy tunes, if it may be changed."""
        return [name for name in self.strategy.chosen(parameters) if self.only is None or name in self.only]

    def adapter(self, name: str, weight: Tensor, seed: int) -> Adapter | None:
        """The strategy's own."""
        return self.strategy.adapter(name, weight, seed)


def recipes(task: RoundTask, number: int) -> Iterator[Recipe]:
    """How each phase of a round fine-tunes, with shuffles of its own."""
    seeds = words(task.seed, f"round {number}", np.array([0]), 2)[0] >> np.uint64(1)
    for seed in seeds[: 1 + task.alternate]:
        yield Recipe(int(seed), task.learning_rate, task.epochs, task.batch_size)


@without_subnormals()
def contribute(
    published: Published,
    strategy: ClientStrategy,
    features: Features,
    task: RoundTask,
    terms: Terms,
    client: int = 0,
    *,
    cohort_size: int | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Contribution:
    """Have those users of a partition who take part in a round do their local steps.

    Args:
        published: the round's global model.
        strategy: what the devices do.
        features: the users and their samples.
        task: how to fine-tune, and who takes part.
        terms: what the aggregation asks for.
        client: the partition, under whose number personal parameters are left.
        cohort_size: users to fine-tune at once, None for as many as the cache holds; changes nothing but speed.
        go_on: called between cohorts; what it raises ends the work.

    Raises:
        UserError: when a hook raises, or returns NaN or a wrong shape.
    """
    draw = task.participation.draw(task.seed, terms.number, features.split)
    model = published.model
    personal = PersonalFile.of(Path(task.personal_file), task.personal, model) if task.personal else None
    work = _Work(published, strategy, features, task, terms, draw.slow, unit(draw.sampled), personal)
    totals = {name: torch.zeros(value.shape, dtype=torch.int64) for name, value in model.named_parameters()}
    counted = [name for name in model.embeddings if task.averaging == "holders" and name not in task.personal]
    holders = {name: torch.zeros(len(totals[name]), dtype=torch.int64) for name in counted}
    size = partial(users_together, published, features, task.batch_size, "cpu")
    kept: list[tuple[Rows, Values]] = []
    users, diverged = 0, 0
    for chosen in gather(features, task.batch_size, lambda *group: cohort_size or size(*group), draw.takes_part):
        try:
            done = work.do(chosen)
        except (Exception, SystemExit) as error:  # a stranger's hook may even call sys.exit
            raise blamed(work.do, features, chosen, error) from error
        done.add_to(totals, holders)
        users += int(done.sane.sum())
        diverged += int((~done.sane).sum())
        if done.personal is not None:
            kept.append((chosen[done.sane.numpy()], done.personal[done.sane.numpy()]))
        go_on()
    if kept and personal:
        who, rows = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        personal.leave(terms.number, client, who, rows)
    sums, counts = ({name: value.numpy() for name, value in values.items()} for values in (totals, holders))
    return Contribution(sums, counts, users, diverged)


@dataclass(frozen=True, eq=False)
class _Done:
    """What some users have changed.

    Attributes:
        changes: of each parameter, int64 (users, *shape) in the round's unit, tables cut down to the rows in use.
        codes: of each table, which rows these are, int64 (users, rows).
        sane: bool (users,), whose changes are finite and not too large.
        personal: rows of the personal file, float32 (users, values); None where all parameters are shared.
    """

    changes: Parameters
    codes: Parameters
    sane: Tensor
    personal: Values | None

    def add_to(self, totals: Parameters, holders: Parameters) -> None:
        """Add the sane users' changes, to tables where their rows belong, and count who has changed these."""
        for name, change in self.changes.items():
            change = change[self.sane]
            if name not in self.codes:
                totals[name] += change.sum(0)
                continue
            rows = self.codes[name][self.sane].flatten()
            totals[name].index_add_(0, rows, change.flatten(0, 1))
            if name in holders:
                # A row that several places share is changed at one of them only, so that nobody counts twice.
                holders[name].index_add_(0, rows, change.any(2).long().flatten())


@dataclass(frozen=True, eq=False)
class _Work:
    """What all users of a partition do in a round; see :func:`contribute`."""

    published: Published
    strategy: ClientStrategy
    features: Features
    task: RoundTask
    terms: Terms
    slow: Flags
    unit: float
    personal: PersonalFile | None

    def do(self, users: Rows) -> _Done:
        """Fine-tune one cohort."""
        cohort = Cohort.build(self.features, users, "validation", self.task.batch_size, self.published.model.reads)
        tables = {
            name: cohort.tables[table.side, table.field].codes
            for name, table in self.published.model.embeddings.items()
        }
        whole = self.personal.read(cohort.users) if self.personal else {}
        own = {
            name: value[torch.arange(len(value))[:, None], tables[name]] if name in tables else value
            for name, value in whole.items()
        }
        before, after = self._steps(cohort, own)
        count = len(users)
        moved = {name: after[name][:count].double() - before[name][:count].double() for name in after}
        sane = torch.ones(count, dtype=torch.bool)
        for change in moved.values():
            sane &= (change.abs() <= MOST).reshape(count, -1).all(1)  # NaN is not
        if self.terms.clipping_norm:
            _clip(moved, self.terms.clipping_norm)
        changes = {name: (change.nan_to_num() / self.unit).round().long() for name, change in moved.items()}
        rows = None
        if self.personal:
            kept = {name: _put(value, own[name], after.get(name), tables.get(name)) for name, value in whole.items()}
            rows = self.personal.rows(kept)[:count]
        return _Done(changes, {name: codes[:count] for name, codes in tables.items()}, sane, rows)

    def _steps(self, cohort: Cohort, own: Parameters) -> tuple[Parameters, Parameters]:
        """The parameters before and after the change that counts, of all that are tuned."""
        pull, names = self.terms.pull, dict(self.published.model.named_parameters())
        personal = frozenset(self.task.personal)
        phases = [personal, frozenset(names) - personal] if self.task.alternate else [None]
        before: Parameters = {}
        after: Parameters = {}
        for recipe, only in zip(recipes(self.task, self.terms.number), phases, strict=True):
            plain = only is None and not pull
            strategy = self.strategy if plain else Within(self.strategy, pull, only)
            start = own | {name: value for name, value in after.items() if name in own}
            first, last = self._phase(strategy, cohort, recipe, start)
            before, after = before | first, after | last
        return before, after

    def _phase(
        self, strategy: ClientStrategy, cohort: Cohort, recipe: Recipe, own: Parameters
    ) -> tuple[Parameters, Parameters]:
        origin = cohort.stack(self.published.model) | own
        tuned = trainable_of(strategy, origin)
        before = {name: origin[name].clone() for name in tuned}
        after = {name: origin[name].clone() for name in tuned}
        epochs = torch.from_numpy(np.where(self.slow[cohort.users], 1, recipe.epochs))
        local = cohort.local(self.published, recipe.seed, own)
        for epoch, parameters in enumerate(fine_tune(self.published, strategy, cohort, local, recipe, own), start=1):
            for name in tuned:
                after[name][epochs == epoch] = parameters[name][epochs == epoch]
                if self.terms.last_epoch and name not in own:
                    before[name][epochs == epoch + 1] = parameters[name][epochs == epoch + 1]
        return before, after


def _put(whole: Tensor, own: Tensor, tuned: Tensor | None, codes: Tensor | None) -> Tensor:
    """A personal parameter (users, *shape) with what was tuned of it; of a table, the rows ``codes``."""
    if tuned is None or codes is None:
        return whole if tuned is None else tuned
    # A row that several places share is tuned at the first of them only; the others must not undo that.
    user, row = (tuned != own).any(2).nonzero(as_tuple=True)
    whole[user, codes[user, row]] = tuned[user, row]
    return whole


def _clip(changes: Parameters, norm: float) -> None:
    """Shorten each user's change, all parameters together, to an L2 norm, in place; one that is not finite stays."""
    for user in range(len(next(iter(changes.values())))):
        own = [change[user].numpy() for change in changes.values()]
        length = float(np.sqrt(sum(float(np.square(each).sum()) for each in own)))
        if norm < length < np.inf:
            for each in own:
                each *= norm / length
