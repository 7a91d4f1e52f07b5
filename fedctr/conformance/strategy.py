"""Whether a client strategy keeps its contract."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fedctr.composition import JUDGING
from fedctr.conformance.finding import Finding, described, frozen, line, raised
from fedctr.conformance.trial import RECIPE, published, rules, world
from fedctr.features import Features
from fedctr.judgement import Columns
from fedctr.models.model import models
from fedctr.personalise import personalise
from fedctr.published import Published
from fedctr.scoring import check_model
from fedctr.strategy import ClientStrategy, overrides, share_held_out
from fedctr.task import Task
from fedctr.threads import single_thread

MODELS = ("lr", "wide-deep[embedding=4,hidden=[8],history=4]", "din[embedding=4,hidden=[8],attention=4,history=4]")


def check(strategy: ClientStrategy) -> Iterator[Finding]:
    """Hold a strategy to its contract, rule by rule.

    Args:
        strategy: it is run, with a fixed recipe, on each of ``MODELS``.

    Yields:
        A finding for each rule. After a hook has raised, the rules that need results are left out, and so are models in
        which there is nothing for the strategy to tune.
    """
    yield frozen(strategy)
    yield described(type(strategy), "does")
    features, refused = world(), dict[str, str]()
    with single_thread():
        for spec in MODELS:
            start = published(spec, features.dataset)
            if refusal := _refusal(strategy, start):
                refused[spec] = refusal
                continue
            try:
                found = list(rules(strategy, start, features))
            except (Exception, SystemExit) as error:  # a stranger's hook may even call sys.exit
                yield Finding(f"runs on {spec}", line(error))
                continue
            yield Finding(f"runs on {spec}")
            for rule, fault in found:
                yield Finding(f"{rule} ({models.find(spec.partition('[')[0]).name})", fault)
        share = raised(lambda: share_held_out(strategy))
        yield Finding("holds out a share, or nothing", share)
        if not share and any(overrides(strategy, hook) for hook in JUDGING):
            yield Finding("judges each user as if it were alone", _judged(strategy, features, refused))
    everywhere = "; ".join(f"{spec}: {refusal}" for spec, refusal in refused.items())
    yield Finding("finds something to tune in one model at least", everywhere if len(refused) == len(MODELS) else "")


def _refusal(strategy: ClientStrategy, published: Published) -> str:
    """Why the strategy cannot serve the model; a run that asks for it is refused before it starts."""
    try:
        check_model(strategy, published.model)
    except ValueError as error:
        return str(error)
    except (Exception, SystemExit):  # comes again when it is run
        return ""
    return ""


def _judged(strategy: ClientStrategy, features: Features, refused: dict[str, str]) -> str:
    """How what a user chooses hangs on the others; empty if it does not."""
    start = published(next((spec for spec in MODELS if spec not in refused), MODELS[0]), features.dataset)
    task = replace(Task.of(RECIPE, "test"), epochs=(1, RECIPE.epochs))

    def taken(users: range) -> Columns:
        own = Features(features.dataset, features.split, users, features.history_length)
        rows = personalise(start, strategy, own, task)
        order = np.lexsort((rows["epochs"], rows["user"]))
        return {name: values[order] for name, values in rows.items()}

    try:
        together, alone = taken(features.users), [taken(range(user, user + 1)) for user in features.users]
    except Exception as error:
        return line(error)
    for name, values in together.items():
        found = np.concatenate([rows[name] for rows in alone])
        if not np.array_equal(values, found, equal_nan=values.dtype.kind == "f"):
            return f"{name} is another one where the user is alone"
    return ""
