"""One strategy over many users: fine-tune, score, and measure each user on its own."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from fedctr import metrics
from fedctr.cohort import Cohort, Parameters, fine_tune, gather
from fedctr.features import Features, Rows
from fedctr.messages import Columns, Task
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy


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
    cohort_size: int = 32,
    go_on: Callable[[], None] = lambda: None,
) -> Columns:
    """Run all trials of a task for the users of a partition.

    Args:
        published: where every private copy starts.
        strategy: what the devices do.
        features: the users and their samples.
        task: part to score, learning rates and epochs to try.
        cohort_size: users to fine-tune at once; changes nothing but speed.
        go_on: called between cohorts; what it raises ends the work.

    Returns:
        Columns of equal length, a row for each user and trial, in no particular order: ``user`` (row of the data
        set), ``samples`` and ``positives`` of the scored part, ``local_samples`` and ``local_positives`` of the
        training part, ``learning_rate``, ``epochs``, ``auc``, ``log_loss``, ``ndcg_at_10``, ``predicted_clicks``,
        and ``diverged`` (some logit is not finite; the user's samples are then scored as if all logits were 0).

    Raises:
        UserError: when a hook raises, or returns NaN or a wrong shape.
    """
    parts = []
    for users in gather(features, task.batch_size, lambda length: cohort_size):
        try:
            parts += _cohort_rows(published, strategy, features, task, users)
        except (Exception, SystemExit) as error:  # a stranger's hook may even call sys.exit
            raise _blamed(published, strategy, features, task, users, error) from error
        go_on()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _cohort_rows(
    published: Published, strategy: ClientStrategy, features: Features, task: Task, users: Rows
) -> list[Columns]:
    cohort = Cohort.build(features, users, task.part, task.batch_size)
    local = cohort.local(published)
    count = len(users)
    counts: Columns = {
        "user": users,
        "samples": cohort.scored.mask[:count].sum(1).numpy(),
        "positives": cohort.scored.labels[:count].sum(1).long().numpy(),
        "local_samples": local.mask[:count].sum(1).numpy(),
        "local_positives": local.labels[:count].sum(1).long().numpy(),
    }

    def row(learning_rate: float, epochs: int, parameters: Parameters) -> Columns:
        logits = cohort.score(published.model, parameters)[:count]
        trial = {"learning_rate": np.full(count, learning_rate), "epochs": np.full(count, epochs)}
        return (
            counts | trial | _measure(logits, cohort.scored.labels[:count].numpy(), cohort.scored.mask[:count].numpy())
        )

    def rows() -> Iterator[Columns]:
        if not strategy.tunes:
            yield row(0.0, 0, cohort.stack(published.model))
            return
        for learning_rate in task.learning_rates:
            recipe = Recipe(task.seed, learning_rate, max(task.epochs), task.batch_size)
            for epoch, parameters in enumerate(fine_tune(published, strategy, cohort, local, recipe), start=1):
                if epoch in task.epochs:
                    yield row(learning_rate, epoch, parameters)

    return list(rows())


def _measure(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> Columns:
    # A device whose model diverged can rank nothing: all of its scores count as equal.
    diverged = np.any(~np.isfinite(logits) & mask, axis=1, keepdims=True)
    scores = np.where(diverged, 0, logits)[mask]
    classes = labels[mask].astype(np.uint8)
    offsets = np.concatenate([[0], np.cumsum(mask.sum(1))])
    return {
        "diverged": diverged[:, 0],
        "auc": metrics.user_auc(scores, classes, offsets),
        "log_loss": metrics.user_log_loss(scores, classes, offsets),
        "ndcg_at_10": metrics.user_ndcg(scores, classes, offsets, k=10),
        "predicted_clicks": metrics.user_predicted_clicks(scores, offsets),
    }


def _blamed(
    published: Published, strategy: ClientStrategy, features: Features, task: Task, users: Rows, error: BaseException
) -> UserError:
    """Name the user whom a cohort failed at, by running each alone."""
    for user in users:
        try:
            _cohort_rows(published, strategy, features, task, np.array([user]))
        except (Exception, SystemExit) as own:
            return UserError(str(features.dataset.user_ids[int(user)]), own)
    return UserError(f"{features.dataset.user_ids[int(users[0])]} (or one that shares its cohort)", error)
