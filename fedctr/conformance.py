"""Whether a client strategy keeps its contract: tried on a small world of awkward users, with every engine."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from fedctr import engine, loop
from fedctr.cohort import Cohort, gather
from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.split import Split
from fedctr.data.synthetic import Synthetic
from fedctr.features import Features
from fedctr.models.model import models
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, share_held_out, trainable_of
from fedctr.threads import single_thread

MODELS = ("lr", "wide-deep[embedding=4,hidden=[8],history=4]", "din[embedding=4,hidden=[8],attention=4,history=4]")
TOLERANCE = 1e-5  # between the two engines, relative to logits above 1
# None, one, less than a batch, a batch, one more, several batches. The last two users have one class only.
_LOCAL_SAMPLES = (0, 1, 5, 31, 32, 33, 40, 65, 12, 12)
_TEST_SAMPLES = 8
_TOGETHER = 64  # users in a cohort: all of one padded length
_RECIPE = Recipe(seed=7, learning_rate=0.05, epochs=2)

Logits = list[npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Finding:
    """What one check of the contract found.

    Attributes:
        rule: what was checked, as a sentence about the strategy.
        fault: how the strategy breaks it; empty if it does not.
    """

    rule: str
    fault: str = ""


def check(strategy: ClientStrategy) -> Iterator[Finding]:
    """Hold a strategy to its contract, rule by rule.

    Args:
        strategy: it is run, with a fixed recipe, on each of ``MODELS``.

    Yields:
        A finding for each rule. After a hook has raised, the rules that need results are left out, and so are models in
        which there is nothing for the strategy to tune.
    """
    yield Finding("is a frozen dataclass", _form(strategy))
    yield Finding("says in its docstring what it does", "" if _described(strategy) else "the class has no docstring")
    features, refused = _features(), dict[str, str]()
    with single_thread():
        for spec in MODELS:
            published = _published(spec, features.dataset)
            if refusal := _refusal(strategy, published):
                refused[spec] = refusal
                continue
            try:
                together = _scores(strategy, published, features, _TOGETHER)
                rules = list(_rules(strategy, published, features, together))
            except (Exception, SystemExit) as error:  # a stranger's hook may even call sys.exit
                yield Finding(f"runs on {spec}", _line(error))
                continue
            yield Finding(f"runs on {spec}")
            for rule, fault in rules:
                yield Finding(f"{rule} ({models.find(spec.partition('[')[0]).name})", fault)
    everywhere = "; ".join(f"{spec}: {refusal}" for spec, refusal in refused.items())
    yield Finding("holds out a share, or nothing", _raised(lambda: share_held_out(strategy)))
    yield Finding("finds something to tune in one model at least", everywhere if len(refused) == len(MODELS) else "")


def _raised(hook: Callable[[], object]) -> str:
    try:
        hook()
    except (Exception, SystemExit) as error:
        return _line(error)
    return ""


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _refusal(strategy: ClientStrategy, published: Published) -> str:
    """Why the strategy cannot serve the model; a run that asks for it is refused before it starts."""
    if not strategy.tunes:
        return ""
    try:
        trainable_of(strategy, dict(published.model.named_parameters()))
    except ValueError as error:
        return str(error)
    except (Exception, SystemExit):  # comes again when it is run
        return ""
    return ""


def _form(strategy: ClientStrategy) -> str:
    if not dataclasses.is_dataclass(strategy):
        return "decorate the class with @dataclass(frozen=True)"
    try:
        hash(strategy)
    except TypeError as error:
        return f"{error}: the dataclass is not frozen, or a field can be changed (give tuples, not lists)"
    return ""


def _described(strategy: ClientStrategy) -> bool:
    # A dataclass without a docstring gets its signature as one.
    return bool(inspect.getdoc(type(strategy))) and not (type(strategy).__doc__ or "").startswith(
        f"{type(strategy).__name__}("
    )


def _rules(
    strategy: ClientStrategy, published: Published, features: Features, together: Logits
) -> Iterator[tuple[str, str]]:
    users = range(features.dataset.users)
    yield "gives finite scores", _different(features, together, lambda one, _: not np.isfinite(one).all(), together)
    again = _scores(strategy, published, features, _TOGETHER)
    yield "does the same when it is run again", _different(features, together, _unequal, again)
    alone = _scores(strategy, published, features, 1)
    yield "treats each user as if it were alone, to the bit", _different(features, together, _unequal, alone)
    plain = [_plain(strategy, published, features, user) for user in users]
    yield "agrees with the plain loop over users", _different(features, together, _far, plain)
    blind = _scores(strategy, published, _flipped(features), _TOGETHER)
    yield "reads no label of the test part", _different(features, together, _unequal, blind)


def _different(
    features: Features,
    expected: Logits,
    differ: Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], bool],
    found: Logits,
) -> str:
    for user, (one, other) in enumerate(zip(expected, found, strict=True)):
        if differ(one, other):
            start, end = (int(edge[user]) for edge in features.split.bounds("train"))
            of = (
                f"the user with {end - start} local samples, {features.dataset.label[start:end].sum()} of them positive"
            )
            gap = np.abs(one - other).max()
            return f"logits of {of} differ by up to {gap:.3g}" if gap > 0 else f"logits of {of} are not finite"
    return ""


def _unequal(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    return not np.array_equal(one, other)


def _far(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    return bool((np.abs(one - other) > TOLERANCE * np.maximum(1, np.abs(one))).any())


def _scores(strategy: ClientStrategy, published: Published, features: Features, at_once: int) -> Logits:
    """Test logits of every user after fine-tuning, by the cohort engine."""
    found: dict[int, npt.NDArray[np.float32]] = {}
    for users in gather(features, _RECIPE.batch_size, lambda group, length: at_once):
        cohort = Cohort.build(features, users, "test", _RECIPE.batch_size, published.model.reads)
        if strategy.tunes:
            epochs = engine.fine_tune(published, strategy, cohort, cohort.local(published, _RECIPE.seed), _RECIPE)
            parameters = next(islice(epochs, _RECIPE.epochs - 1, None))
        else:
            parameters = cohort.stack(published.model)
        logits, mask = cohort.score(published.model, parameters), cohort.scored.mask.numpy()
        found |= {int(user): logits[row][mask[row]] for row, user in enumerate(users)}
    return [found[user] for user in sorted(found)]


def _plain(strategy: ClientStrategy, published: Published, features: Features, user: int) -> npt.NDArray[np.float32]:
    """The same for one user, by the loop engine."""
    model = published.model
    if strategy.tunes:
        model = next(islice(loop.fine_tune(published, strategy, features, user, _RECIPE), _RECIPE.epochs - 1, None))
    return loop.score(model, features, user, "test")


def _features() -> Features:
    dataset = Synthetic(users=len(_LOCAL_SAMPLES), items=60, samples_per_user=400).read(None, Reading())
    start = dataset.offsets[:-1]
    end = start + np.array(_LOCAL_SAMPLES)
    label = dataset.label.copy()
    label[start[-2] : end[-2]], label[start[-1] : end[-1]] = 1, 0
    dataset = replace(dataset, label=label)
    parts = Split(start, end, end, end + _TEST_SAMPLES)
    return Features.build(dataset, parts, range(dataset.users), history_length=4)


def _flipped(features: Features) -> Features:
    """The same users with the other label on every sample of the test part."""
    label = features.dataset.label.copy()
    for first, stop in zip(*features.split.bounds("test"), strict=True):
        label[first:stop] = 1 - label[first:stop]
    dataset = replace(features.dataset, label=label)
    return Features.build(dataset, features.split, features.users, history_length=4)


def _published(spec: str, dataset: Dataset) -> Published:
    """A model with parameters so large that every one of them shows in the logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.create(spec, dataset.schema)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return Published(spec, dataset.schema, model, global_ctr=0.3)
