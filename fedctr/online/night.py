"""What devices do in the night, and how they score the next day's candidates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedctr.engines import engine_of
from fedctr.features import Features, Rows
from fedctr.holdout import Choices
from fedctr.personalise import dry_run, every_cohort, sized
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.scoring import Offer, trials
from fedctr.strategy import ClientStrategy, share_held_out
from fedctr.task import Task

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scores:
    """What the devices of some users make of their candidates.

    Attributes:
        users: int64 (users,), rows of the data set.
        logits: float32 (users, candidates), 0 throughout where the model diverged.
        diverged: bool (users,), where a logit was not finite.
        tuned: bool (users,), where the private copy is used, and not the published model.
    """

    users: Rows
    logits: npt.NDArray[np.float32]
    diverged: Flags
    tuned: Flags


def scores(
    published: Published,
    strategy: ClientStrategy,
    features: Features,
    recipe: Recipe,
    among: Flags,
    *,
    cohort_size: int | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Iterator[Scores]:
    """Fine-tune on the training parts, and score the test parts, which hold the candidates.

    Args:
        published: the newest published model.
        strategy: what the devices do.
        features: what they hold; test parts of equal length.
        recipe: how they fine-tune.
        among: bool, for every user of the data set whether it is wanted.
        cohort_size: users to fine-tune at once, None for as many as suit the engine; changes nothing but speed.
        go_on: called between cohorts; what it raises ends the work.

    Yields:
        Every user that is wanted once, in some order.

    Raises:
        UserError: when a hook raises, or returns NaN or a wrong shape.
    """
    task = Task.of(recipe, "test")
    choices = dry_run(published, strategy, features, task, cohort_size=cohort_size, among=among, go_on=go_on)
    engine = engine_of(published, features, task)
    size = sized(engine, strategy, cohort_size)

    def work(users: Rows) -> list[Scores]:
        return [_taken(each, users, choices, strategy) for each in trials(published, strategy, engine, task, users)]

    yield from every_cohort(work, features, recipe.batch_size, size, among=among, go_on=go_on)


def _taken(offer: Offer, users: Rows, choices: Choices, strategy: ClientStrategy) -> Scores:
    """The scores by what the users have chosen, of whom each has equally many candidates to show."""
    count = int(offer.mask[0].sum())
    logits = choices.take(offer.trial, users, offer.candidates)[:, :count]
    diverged = np.isfinite(logits).sum(axis=1) < count
    tuned = np.full(len(users), strategy.tunes)
    if share_held_out(strategy):  # the published model comes first
        tuned &= choices.of(offer.trial, users) > 0
    return Scores(users, np.where(diverged[:, None], np.float32(0), logits), diverged, tuned)
