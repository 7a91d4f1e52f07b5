"""Whether a click model keeps its contract."""

import copy
import inspect
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fedctr.cloud import initial_model
from fedctr.composition import strategy_of
from fedctr.conformance.finding import Finding, described, line, raised
from fedctr.conformance.trial import far, published, rules, world
from fedctr.data.dataset import Schema
from fedctr.data.split import Split
from fedctr.features import Features
from fedctr.models.batch import Batch
from fedctr.models.model import Model, models
from fedctr.published import Published
from fedctr.threads import single_thread

# The one moves the weights in the midst of the backward pass, the other collects all gradients.
STRATEGIES = ("fine-tuning", "proximal")
_SHOWN = 24  # samples of each of the first users


def check(spec: str) -> Iterator[Finding]:
    """Hold a model to its contract, rule by rule.

    Args:
        spec: the model as people type it, such as ``my_module:MyModel[embedding=4]``.

    Yields:
        A finding for each rule. Where the model cannot even be built or run, the rules that need it are left out.

    Raises:
        FedctrError: for an unknown name or option.
    """
    cls = models.named(spec, 1)
    yield described(cls, "is")
    yield Finding("takes its options by name, each with a default", _options(cls))
    features = world()
    schema = features.dataset.schema
    with single_thread():
        if fault := raised(lambda: initial_model(spec, schema, 0)):
            yield Finding("is built for a data set", fault)
            return
        yield Finding("is built for a data set")
        yield Finding("is built alike from the same seed", _built_alike(spec, schema))
        start = published(spec, features.dataset)
        features = Features(features.dataset, _whole(features), features.users, start.model.history_length)
        try:
            found = list(_forward(start, features))
        except (Exception, SystemExit) as error:  # a stranger's model may raise anything
            yield Finding("scores samples", line(error))
            return
        yield Finding("scores samples")
        yield from (Finding(rule, fault) for rule, fault in found)
        yield Finding("serves a data set that knows nothing but ids", _bare(spec, features))
        for name in STRATEGIES:
            try:
                tuned = list(rules(strategy_of(name), start, world(start.model.history_length)))
            except (Exception, SystemExit) as error:
                yield Finding(f"can be fine-tuned by {name}", line(error))
                continue
            yield Finding(f"can be fine-tuned by {name}")
            yield from (Finding(f"{rule} ({name})", fault) for rule, fault in tuned)


def _options(cls: type[Model]) -> str:
    for option in list(inspect.signature(cls).parameters.values())[1:]:
        if option.kind in (option.VAR_POSITIONAL, option.VAR_KEYWORD):
            return f"{option} takes anything, so that a misspelt option would not be refused; name the options"
        if option.default is option.empty or option.kind is option.POSITIONAL_ONLY:
            return f"{option.name} has no default, or no name; write it after * with a default"
    return ""


def _built_alike(spec: str, schema: Schema) -> str:
    one, other = (dict(initial_model(spec, schema, 1).named_parameters()) for _ in range(2))
    different = [name for name, value in one.items() if not torch.equal(value, other[name])]
    return f"{different[0]} begins with other values each time; draw them with PyTorch" if different else ""


def _whole(features: Features) -> Split:
    """A split by which every sample is one of training, so that histories are full."""
    start, stop = features.dataset.offsets[:-1], features.dataset.offsets[1:]
    return Split(start, stop, stop, stop)


def _forward(start: Published, features: Features) -> Iterator[tuple[str, str]]:
    """What holds of the logits of shared parameters."""
    model, first = start.model, features.dataset.offsets[:-1]
    rows = first[:, None] + np.arange(_SHOWN)
    users = np.arange(len(first))[:, None]
    batch = features.batch(rows, users)
    # As the cloud has it: one "user", whose samples are everybody's.
    mixed = features.batch(rows.reshape(1, -1), np.repeat(users, _SHOWN, 1).reshape(1, -1))
    logits, flat = _logits(model, batch), _logits(model, mixed)
    yield (
        "gives a logit for each sample, float32 (users, samples)",
        _form(logits, rows.shape) or _form(flat, (1, rows.size)),
    )
    if logits.shape != rows.shape or flat.shape != (1, rows.size):
        return
    yield "gives finite logits", "" if torch.isfinite(logits).all() else "some are NaN or infinite"
    yield "tells samples apart", "all logits are the same" if logits.std() == 0 else ""
    yield "does the same when it is run again", _unlike(torch.equal, logits, _logits(model, batch))
    model.eval()
    yield "does the same in training and in evaluation", _unlike(torch.equal, logits, _logits(model, batch))
    model.train()
    alone = [_logits(model, features.batch(rows[:, place : place + 1], users)) for place in range(_SHOWN)]
    yield "scores each sample as if it were alone", _unlike(_near, logits, torch.cat(alone, 1))
    yield "scores users together as one by one", _unlike(_near, logits, flat.view(logits.shape))
    yield "is the same as a deep copy", _unlike(torch.equal, logits, _logits(copy.deepcopy(model), batch))
    with tempfile.TemporaryDirectory() as folder:
        start.save(Path(folder), {})
        again, _ = Published.load(Path(folder))
    yield "comes back from a file as it was", _unlike(torch.equal, logits, _logits(again.model, batch))
    yield "learns in every parameter", _idle(model, mixed, features, rows.reshape(1, -1))


def _form(logits: object, shape: tuple[int, ...]) -> str:
    if not isinstance(logits, Tensor):
        return f"forward returned {type(logits).__name__}"
    if logits.dtype != torch.float32 or logits.shape != shape:
        return f"forward returned {str(logits.dtype).removeprefix('torch.')} {tuple(logits.shape)}, expected {shape}"
    return ""


@torch.no_grad()
def _logits(model: Model, batch: Batch) -> Tensor:
    logits: Tensor = model(batch)
    return logits


def _unlike(alike: Callable[[Tensor, Tensor], bool], one: Tensor, other: Tensor) -> str:
    if alike(one, other):
        return ""
    return f"logits differ by up to {(one - other).abs().max():.3g}" if one.shape == other.shape else "other shapes"


def _near(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and not far(one.numpy(), other.numpy())


def _idle(model: Model, batch: Batch, features: Features, rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    parameters = dict(model.named_parameters())
    loss = F.binary_cross_entropy_with_logits(model(batch), torch.from_numpy(features.dataset.label[rows]).float())
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        if gradient is None or not (gradient != 0).any():
            return f"{name} changes no logit; use it, or leave it out"
    return ""


def _bare(spec: str, features: Features) -> str:
    """What goes wrong where users and items have no field but their id."""
    whole = features.dataset
    schema = Schema(whole.schema.user_fields[:1], whole.schema.item_fields[:1])
    bare = replace(whole, schema=schema, user_codes=whole.user_codes[:, :1], item_codes=whole.item_codes[:, :1])

    def score() -> None:
        model = published(spec, bare).model
        known = Features(bare, features.split, features.users, model.history_length)
        _logits(model, known.batch(np.arange(_SHOWN)[None], np.array([[0]])))

    return raised(score)
