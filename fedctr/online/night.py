"""What devices do in the night, and how they score the next day's candidates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from fedctr.cohort import Cohort, gather
from fedctr.data.split import Fractions
from fedctr.engine import fine_tune
from fedctr.features import Features, Rows
from fedctr.holdout import Judged, held_out, kept
from fedctr.messages import Task
from fedctr.personalise import blamed, measured, users_together
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, share_held_out

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
        cohort_size: users to fine-tune at once, None for as many as the cache holds; changes nothing but speed.
        go_on: called between cohorts; what it raises ends the work.

    Yields:
        Every user that is wanted once, in some order.

    Raises:
        UserError: when a hook raises, or returns NaN or a wrong shape.
    """

    def size(features: Features, users: Rows, length: int) -> int:
        return cohort_size or users_together(published, features, recipe.batch_size, "cpu", users, length)

    share = share_held_out(strategy) if strategy.tunes else 0.0
    tuning = among if strategy.tunes else np.zeros_like(among)
    if share and among.any():
        tuning = tuning & _keepers(published, strategy, held_out(features, share), recipe, among, size, go_on)
    for wanted, tuned in ((tuning, strategy), (among & ~tuning, None)):
        work = partial(_scored, published, tuned, features, recipe)
        for users in gather(features, recipe.batch_size, partial(size, features), wanted):
            try:
                yield work(users)
            except (Exception, SystemExit) as error:  # a stranger's hook may even call sys.exit
                raise blamed(work, features, users, error) from error
            go_on()


def _keepers(
    published: Published,
    strategy: ClientStrategy,
    features: Features,
    recipe: Recipe,
    among: Flags,
    size: Callable[[Features, Rows, int], int],
    go_on: Callable[[], None],
) -> Flags:
    """Which users keep their tuned models, judged by a dry run on what is held out: bool, for every user."""
    task = Task(
        dataset="",
        rule=Fractions(),
        part="validation",
        strategy=strategy.name,
        seed=recipe.seed,
        learning_rates=(recipe.learning_rate,),
        epochs=(recipe.epochs,),
        batch_size=recipe.batch_size,
        optimiser=recipe.optimiser,
    )
    sizes = partial(size, features)
    rows = [measured(published, each, features, task, sizes, among=among, go_on=go_on) for each in (strategy, None)]
    dry = Judged(*rows).in_order()
    keeps = np.zeros_like(among)
    keeps[dry.tuned["user"].astype(np.int64)] = kept(strategy, dry)
    return keeps


def _scored(
    published: Published, strategy: ClientStrategy | None, features: Features, recipe: Recipe, users: Rows
) -> Scores:
    """The scores by private copies, or without a strategy by the published model."""
    cohort = Cohort.build(features, users, "test", recipe.batch_size, published.model.reads)
    parameters = cohort.stack(published.model)
    if strategy:
        *_, parameters = fine_tune(published, strategy, cohort, cohort.local(published, recipe.seed), recipe)
    count, candidates = len(users), int(cohort.scored.mask[0].sum())
    logits = cohort.score(published.model, parameters)[:count, :candidates]
    diverged = np.isfinite(logits).sum(axis=1) < candidates
    tuned = np.full(count, strategy is not None)
    return Scores(users, np.where(diverged[:, None], np.float32(0), logits), diverged, tuned)
