"""One strategy over many users: fine-tune, score, and measure each user on its own."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from fedctr import metrics
from fedctr.cohort import Cohort, gather
from fedctr.cohort_size import users_at_once
from fedctr.data.dataset import Schema
from fedctr.engine import fine_tune, working_set
from fedctr.features import Features, Rows
from fedctr.holdout import Judged, choose, held_out
from fedctr.messages import Columns, Device, Task
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.stacking import Parameters
from fedctr.strategy import ClientStrategy, share_held_out

MEASURED_TOGETHER = 1 << 16  # scored samples; metrics cost little more for many users than for few

# By model, schema, padded length and device: what was found for one task serves the next one.
_working_sets: dict[tuple[str, Schema, int, str], int] = {}


class UserError(Exception):
    """A strategy failed at a user.

    Attributes:
        user: the user's raw id.
    """

    def __init__(self, user: str, error: BaseException) -> None:
        reason = " ".join(str(error).split())  # on one line
        super().__init__(f"{type(error).__name__}: {reason}" if reason else type(error).__name__)
        self.user = user


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
        cohort_size: users to fine-tune at once, None for as many as the cache holds; changes nothing but speed.
        go_on: called between cohorts; what it raises ends the work.

    Returns:
        Columns of equal length, a row for each user and trial, in no particular order: ``user`` (row of the data
        set), ``samples`` and ``positives`` of the scored part, ``local_samples`` and ``local_positives`` of the
        training part, ``learning_rate``, ``epochs``, ``auc``, ``log_loss``, ``ndcg_at_10``, ``predicted_clicks``,
        and ``diverged`` (some logit is not finite; the user's samples are then scored as if all logits were 0).

    Raises:
        UserError: when a hook raises, or returns NaN or a wrong shape.
    """

    def size(users: Rows, length: int) -> int:
        return cohort_size or users_together(published, features, task.batch_size, task.device, users, length)

    if task.device != "cpu":
        published = replace(published, model=copy.deepcopy(published.model).to(task.device))

    def rows(strategy: ClientStrategy | None, features: Features, task: Task) -> Columns:
        return measured(published, strategy, features, task, size, go_on=go_on)

    if not strategy.tunes:
        return rows(None, features, task)
    share = share_held_out(strategy)
    if not share:
        return rows(strategy, features, task)
    dry = held_out(features, share), replace(task, part="validation")
    real = features, task
    return choose(strategy, *(Judged(rows(strategy, *each), rows(None, *each)) for each in (dry, real)))


def measured(
    published: Published,
    strategy: ClientStrategy | None,
    features: Features,
    task: Task,
    size: Callable[[Rows, int], int],
    *,
    among: npt.NDArray[np.bool_] | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Columns:
    """The columns of :func:`personalise` without any choice per user.

    Args:
        published: where every private copy starts, on the task's device.
        strategy: what the devices do; None to measure the published model.
        features: the users and their samples.
        task: part to score, learning rates and epochs to try.
        size: users in a cohort at most, as for :func:`gather`.
        among: bool, for every user of the data set whether it is wanted; None for all.
        go_on: called between cohorts; what it raises ends the work.

    Raises:
        UserError: when a hook raises, or returns NaN or a wrong shape.
    """
    done: list[Columns] = []
    waiting: list[_Scored] = []
    for users in gather(features, task.batch_size, size, among):
        try:
            waiting += _scored(published, strategy, features, task, users)
        except (Exception, SystemExit) as error:  # a stranger's hook may even call sys.exit
            raise blamed(partial(_scored, published, strategy, features, task), features, users, error) from error
        if sum(len(scored.logits) for scored in waiting) >= MEASURED_TOGETHER:
            done, waiting = [*done, _measure(waiting)], []
        go_on()
    done += [_measure(waiting)] if waiting else []
    return {name: np.concatenate([part[name] for part in done]) for name in done[0]}


def users_together(
    published: Published, features: Features, batch_size: int, device: Device, users: Rows, length: int
) -> int:
    """How many users of one padded length to fine-tune at once.

    Args:
        published: the model, on the device.
        features: the users and their samples.
        batch_size: samples in a step of fine-tuning.
        device: where to compute.
        users: int64 (users,), those of this length.
        length: to which their samples are padded.
    """
    kind = published.spec, published.schema, length, device
    if kind not in _working_sets:
        few = Cohort.build(features, users[:2], "train", batch_size, published.model.reads).to(device)
        _working_sets[kind] = working_set(published.model, few)
    return users_at_once(_working_sets[kind], device)


@dataclass(frozen=True, eq=False)
class _Scored:
    """Some users' scored samples in one trial.

    Attributes:
        columns: what is known of each user and the trial.
        logits: float32 (samples,), one user after the other.
        labels: uint8 (samples,).
    """

    columns: Columns
    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]


def _scored(
    published: Published, strategy: ClientStrategy | None, features: Features, task: Task, users: Rows
) -> list[_Scored]:
    cohort = Cohort.build(features, users, task.part, task.batch_size, published.model.reads).to(task.device)
    local = cohort.local(published, task.seed)
    count = len(users)
    mask = cohort.scored.mask[:count].cpu().numpy()
    labels = cohort.scored.labels[:count].cpu().numpy()[mask].astype(np.uint8)
    counts: Columns = {
        "user": users,
        "samples": mask.sum(1),
        "positives": cohort.scored.labels[:count].sum(1).long().cpu().numpy(),
        "local_samples": local.mask[:count].sum(1).cpu().numpy(),
        "local_positives": local.labels[:count].sum(1).long().cpu().numpy(),
    }

    def trial(learning_rate: float, epochs: int, parameters: Parameters) -> _Scored:
        columns = {"learning_rate": np.full(count, learning_rate), "epochs": np.full(count, epochs)}
        return _Scored(counts | columns, cohort.score(published.model, parameters)[:count][mask], labels)

    if strategy is None:
        return [trial(0.0, 0, cohort.stack(published.model))]
    return [
        trial(learning_rate, epoch, parameters)
        for learning_rate in task.learning_rates
        for epoch, parameters in enumerate(
            fine_tune(
                published,
                strategy,
                cohort,
                local,
                Recipe(task.seed, learning_rate, max(task.epochs), task.batch_size, task.optimiser),
            ),
            start=1,
        )
        if epoch in task.epochs
    ]


def _measure(trials: list[_Scored]) -> Columns:
    columns = {name: np.concatenate([trial.columns[name] for trial in trials]) for name in trials[0].columns}
    logits, labels = (np.concatenate(parts) for parts in zip(*((t.logits, t.labels) for t in trials), strict=True))
    offsets = np.concatenate([[0], np.cumsum(columns["samples"])])
    # A device whose model diverged can rank nothing: all of its scores count as equal.
    wild = np.concatenate([[0], np.cumsum(~np.isfinite(logits))])
    diverged = wild[offsets[1:]] > wild[offsets[:-1]]
    scores = np.where(np.repeat(diverged, columns["samples"]), np.float32(0), logits)
    return columns | {
        "diverged": diverged,
        "auc": metrics.user_auc(scores, labels, offsets),
        "log_loss": metrics.user_log_loss(scores, labels, offsets),
        "ndcg_at_10": metrics.user_ndcg(scores, labels, offsets, k=10),
        "predicted_clicks": metrics.user_predicted_clicks(scores, offsets),
    }


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
