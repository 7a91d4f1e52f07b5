"""One strategy over many users: fine-tune, score, and measure each user on its own."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fedctr.cohort import gather
from fedctr.engines import Engine, engine_of
from fedctr.errors import FedctrError
from fedctr.features import Features, Rows
from fedctr.holdout import Choice, Choices, chosen_of, held_out
from fedctr.judgement import Columns, Logits, measured
from fedctr.published import Published
from fedctr.scoring import trials
from fedctr.strategy import ClientStrategy, share_held_out
from fedctr.task import Task
from fedctr.threads import without_subnormals

Done = TypeVar("Done")
Flags = npt.NDArray[np.bool_]

MEASURED_TOGETHER = 1 << 16  # scored samples; metrics cost little more for many users than for few


class UserError(Exception):
    """A strategy failed at a user.

    Attributes:
        user: the user's raw id.
    """

    def __init__(self, user: str, error: BaseException) -> None:
        reason = " ".join(str(error).split())  # on one line
        super().__init__(f"{type(error).__name__}: {reason}" if reason else type(error).__name__)
        self.user = user


@without_subnormals()
def personalise(
    published: Published,
    strategy: ClientStrategy,
    features: Features,
    task: Task,
    *,
    cohort_size: int | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Columns:
    """Run all trials of a task for the users of a partition.

    Args:
        published: where every private copy starts.
        strategy: what the devices do.
        features: the users and their samples.
        task: part to score, learning rates and epochs to try.
        cohort_size: users to fine-tune at once, None for as many as suit the engine; changes nothing but speed.
        go_on: called between cohorts; what it raises ends the work.

    Returns:
        Columns of equal length, a row for each user and trial, in no particular order: ``user`` (row of the data
        set), ``samples`` and ``positives`` of the scored part, ``local_samples`` and ``local_positives`` of the
        training part, ``learning_rate``, ``epochs``, ``auc``, ``log_loss``, ``ndcg_at_10``, ``predicted_clicks``,
        and ``diverged`` (some logit is not finite; the user's samples are then scored as if all logits were 0).

    Raises:
        UserError: when a hook raises, or returns NaN or a wrong shape.
        FedctrError: when the engine cannot be compiled.
    """
    if task.device != "cpu":
        published = replace(published, model=copy.deepcopy(published.model).to(task.device))

    choices = dry_run(published, strategy, features, task, cohort_size=cohort_size, go_on=go_on)
    engine = engine_of(published, features, task)
    size = sized(engine, strategy, cohort_size)
    work = partial(_scored, published, strategy, engine, task, choices)
    return _measured(every_cohort(work, features, task.batch_size, size, go_on=go_on))


def dry_run(
    published: Published,
    strategy: ClientStrategy,
    features: Features,
    task: Task,
    *,
    cohort_size: int | None = None,
    among: Flags | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Choices:
    """Which candidates users take, if they have to choose.

    Args, raises: as for :func:`personalise` and :func:`every_cohort`.
    """
    share = share_held_out(strategy)
    if not share:
        return Choices(features.users)
    dry, own = held_out(features, share), replace(task, part="validation")
    engine = engine_of(published, dry, own)
    size = sized(engine, strategy, cohort_size)

    def work(users: Rows) -> list[Choice]:
        found = trials(published, strategy, engine, own, users)
        return [Choice(each.trial, users, chosen_of(strategy, each.judged)) for each in found]

    return Choices(features.users, every_cohort(work, dry, task.batch_size, size, among=among, go_on=go_on))


def sized(engine: Engine, strategy: ClientStrategy, cohort_size: int | None) -> Callable[[Rows, int], int]:
    """How many users :func:`gather` is to put together: as many as told, or else as suit the engine."""

    def size(users: Rows, length: int) -> int:
        return cohort_size or engine.size(strategy, users, length)

    return size


def every_cohort(
    work: Callable[[Rows], list[Done]],
    features: Features,
    batch_size: int,
    size: Callable[[Rows, int], int],
    *,
    among: Flags | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Iterator[Done]:
    """Do some work for users, a cohort at a time.

    Args:
        work: is given int64 (users,), rows of the data set.
        features: the users and their samples.
        batch_size: samples in a step of fine-tuning.
        size: users in a cohort at most, as for :func:`gather`.
        among: bool, for every user of the data set whether it is wanted; None for all.
        go_on: called between cohorts; what it raises ends the work.

    Yields:
        What the work gives.

    Raises:
        UserError: when it raises.
        FedctrError: when it raises one, which no user is to blame for: that the engine cannot be compiled.
    """
    for users in gather(features, batch_size, size, among):
        try:
            yield from work(users)
        except FedctrError:
            raise
        except (Exception, SystemExit) as error:  # a stranger's hook may even call sys.exit
            raise blamed(work, features, users, error) from error
        go_on()


@dataclass(frozen=True, eq=False)
class _Scored:
    """Some users' scored samples in one trial.

    Attributes:
        columns: what is known of each user and the trial.
        logits: float32 (samples,), one user after the other.
        labels: uint8 (samples,).
    """

    columns: Columns
    logits: Logits
    labels: npt.NDArray[np.uint8]


def _scored(
    published: Published, strategy: ClientStrategy, engine: Engine, task: Task, choices: Choices, users: Rows
) -> list[_Scored]:
    """What some users score, in each trial by the candidate that they have chosen."""
    return [
        _Scored(
            each.columns | {name: np.full(len(users), value) for name, value in asdict(each.trial).items()},
            choices.take(each.trial, users, each.candidates)[each.mask],
            each.labels,
        )
        for each in trials(published, strategy, engine, task, users)
    ]


def _measured(scored: Iterable[_Scored]) -> Columns:
    """The rows of all users, measured many at a time."""
    parts: list[Columns] = []
    waiting: list[_Scored] = []
    for each in scored:
        waiting.append(each)
        if sum(len(one.logits) for one in waiting) >= MEASURED_TOGETHER:
            parts, waiting = [*parts, _measure(waiting)], []
    parts += [_measure(waiting)] if waiting else []
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _measure(scored: list[_Scored]) -> Columns:
    columns = {name: np.concatenate([each.columns[name] for each in scored]) for name in scored[0].columns}
    logits, labels = (np.concatenate(parts) for parts in zip(*((s.logits, s.labels) for s in scored), strict=True))
    return columns | measured(logits, labels, columns["samples"])


def blamed(work: Callable[[Rows], object], features: Features, users: Rows, error: BaseException) -> UserError:
    """Name the user whom a cohort failed at, by doing the work for each alone.

    Args:
        work: what failed, for any of the users.
        features: where their raw ids are.
        users: int64 (users,), the cohort's.
        error: what it raised for all of them together.
    """
    for user in users:
        try:
            work(np.array([user]))
        except (Exception, SystemExit) as own:
            return UserError(str(features.dataset.user_ids[int(user)]), own)
    return UserError(f"{features.dataset.user_ids[int(users[0])]} (or one that shares its cohort)", error)
