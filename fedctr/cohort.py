"""The cohort engine: private copies of many users' models, fine-tuned at once.

Every tuned parameter gets a leading user axis, and the loss is the sum over users of each user's own mean, so one
backward pass yields every user's own gradient. Of an embedding table only the rows that a user's samples use are
copied.

Results are the same to the bit whoever shares a cohort:

- Every tensor operation works on blocks of a fixed number of samples per user, a multiple of ``LANES``.
- Users of one cohort have their samples padded to a length that each of them would have alone
  (:func:`padded_length`).
- A lone user is computed twice, because matrix products of a single one take another path.
- Every user's weights begin at a multiple of 64 bytes (:class:`~fedctr.models.layers.Linear` sees to it), because
  matrix products round by alignment.
- A strategy's hooks see the users repeated up to a multiple of ``LANES``, and its penalty sees tables padded to a
  multiple of ``SUMMED`` rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from fedctr.data.dataset import Field, slices
from fedctr.data.split import Part
from fedctr.distinct import Distinct
from fedctr.features import Features, Rows
from fedctr.models.layers import Embedding, Side
from fedctr.models.model import Batch, Model
from fedctr.published import Published
from fedctr.randomness import permutations
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, Local, added_penalty, minibatch_loss, soft_labels, trainable_of

Parameters = dict[str, Tensor]
COHORT_SIZE = 32
# Elementwise functions go through this many floats at once, and through the remainder one by one, where sigmoid and
# softplus round differently. No tensor of a multiple of it has a remainder.
LANES = 32
# Sums take this many floats at once; zeros that pad to a multiple of it do not change how the others are rounded.
SUMMED = 64


def padded_length(samples: Rows, block: int) -> Rows:
    """Samples rounded up to a number of blocks out of 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, ...

    Few lengths keep cohorts full; beyond two blocks, padding stays below half of the samples.
    """
    blocks = -(-samples // block)
    power = 2 ** np.ceil(np.log2(np.maximum(blocks, 1))).astype(np.int64)
    rounded = np.where(blocks <= power * 3 // 4, power * 3 // 4, power)
    return np.where(blocks > 0, rounded, 0) * block


def block_of(batch_size: int) -> int:
    """Places in a block: the batch size rounded up to a multiple of ``LANES``."""
    return -(-batch_size // LANES) * LANES


def gather(features: Features, batch_size: int, size: int = COHORT_SIZE) -> list[Rows]:
    """Group the users into cohorts of equal padded length.

    Args:
        features: the samples.
        batch_size: samples in a step of fine-tuning.
        size: users in a cohort at most.

    Returns:
        int64 arrays, rows of the data set; together they are all of ``features.users``.
    """
    users = np.arange(features.users.start, features.users.stop)
    starts, stops = features.split.bounds("train")
    lengths = padded_length((stops - starts)[users] + 1, block_of(batch_size))
    groups = (users[lengths == length] for length in np.unique(lengths))
    return [group[first : first + size] for group in groups for first in range(0, len(group), size)]


@dataclass(frozen=True, eq=False)
class Samples:
    """One part of each user's samples; items are numbered anew for each user, 0 being "nothing here".

    Attributes:
        mask: bool (users, samples), False in the padding; ``samples`` is a multiple of the block.
        labels: float32 (users, samples), 0 in the padding.
        item: int64 (users, samples), the user's own number of the item.
        history: int64 (users, samples, length), places in the cohort's ``clicks``.
    """

    mask: Tensor
    labels: Tensor
    item: Tensor
    history: Tensor


@dataclass(frozen=True, eq=False)
class Cohort:
    """Samples of some users, in the form that the engine computes on.

    Attributes:
        users: int64 (users,), rows of the data set; a lone user stands twice.
        train: the training parts, to fine-tune on.
        scored: the parts to score.
        user_codes: int32 (users, 1, user columns), numbering the rows of ``tables``.
        item_codes: int32 (users, items, item columns), likewise, by the user's own number of the item.
        clicks: int64 (users, places), "nothing here", then the items of ``train``, by the user's own number.
        tables: int64 (users, rows) for each (side, field name): the embedding rows in use.
        block: places for samples in a step of fine-tuning, and of scoring.
    """

    users: Rows
    train: Samples
    scored: Samples
    user_codes: Tensor
    item_codes: Tensor
    clicks: Tensor
    tables: dict[tuple[str, str], Tensor]
    block: int

    @classmethod
    def build(cls, features: Features, users: Rows, part: Part, batch_size: int) -> "Cohort":
        """Collect what is needed to fine-tune users of equal padded length and to score one part of theirs."""
        block = block_of(batch_size)
        if len(users) == 1:
            users = np.repeat(users, 2)
        dataset = features.dataset
        rows, masks = zip(*(_padded(features, users, which, block) for which in ("train", part)), strict=True)
        items = [np.where(mask, dataset.item[row] + 1, 0) for row, mask in zip(rows, masks, strict=True)]
        distinct = Distinct.of(np.concatenate(items, axis=1))

        def places(row: Rows, mask: npt.NDArray[np.bool_]) -> Rows:
            """Where the clicks before each sample stand among ``clicks``."""
            past = np.where(mask[..., None], features.histories.of(row), -1)
            return np.where(past >= 0, past - features.split.start[users][:, None, None] + 1, 0)

        train, scored = (
            Samples(
                mask=torch.from_numpy(mask),
                labels=torch.from_numpy(np.where(mask, dataset.label[row], 0).astype(np.float32)),
                item=torch.from_numpy(distinct.number(item)),
                history=torch.from_numpy(places(row, mask)),
            )
            for row, mask, item in zip(rows, masks, items, strict=True)
        )
        tables: dict[tuple[str, str], Tensor] = {}
        user_codes = _renumber(dataset.user_codes[users][:, None], dataset.schema.user_fields, "user", tables)
        item_codes = _renumber(dataset.described[distinct.codes], dataset.schema.item_fields, "item", tables)
        clicks = F.pad(train.item[:, :-1], (1, 0))  # the last place of a training part is always padding
        return cls(users, train, scored, user_codes, item_codes, clicks, tables, block)

    def stack(self, model: Model) -> Parameters:
        """The model's parameters with a leading user axis, tables cut down to the rows in use."""
        rows = {name: self.tables[module.side, module.field] for name, module in _embeddings(model).items()}
        return {
            name: value.detach()[rows[name]] if name in rows else value.detach().expand(len(self.users), *value.shape)
            for name, value in model.named_parameters()
        }

    def local(self, published: Published) -> Local:
        """The training parts as a strategy sees them: the users repeated up to a multiple of ``LANES``."""
        everyone = _repeated(len(self.users))
        labels, mask = self.train.labels[everyone], self.train.mask[everyone]
        positives, samples = labels.sum(1, keepdim=True), mask.sum(1, keepdim=True).float()
        return Local(
            labels=labels,
            mask=mask,
            published_logits=self._logits(published.model, self.stack(published.model), self.train)[everyone],
            positives=positives,
            samples=samples,
            ctr=positives / samples.clamp(min=1),
        )

    def score(self, model: Model, parameters: Parameters) -> npt.NDArray[np.float32]:
        """Logits float32 (users, samples) of ``scored``."""
        logits: npt.NDArray[np.float32] = self._logits(model, parameters, self.scored).numpy()
        return logits

    def batch(self, samples: Samples, positions: Tensor) -> Batch:
        """What the model reads of the samples at int64 (users, block) positions; any will do where it is -1."""
        users, positions = torch.arange(len(self.users)).unsqueeze(1), positions.clamp(min=0)
        return Batch(
            user=self.user_codes,
            items=self.item_codes,
            item=samples.item[users, positions],
            clicks=self.clicks,
            history=samples.history[users, positions],
        )

    @torch.no_grad()
    def _logits(self, model: Model, parameters: Parameters, samples: Samples) -> Tensor:
        users, length = samples.mask.shape
        positions = torch.arange(length).expand(users, -1)
        blocks = [
            functional_call(model, parameters, (self.batch(samples, block),))
            for block in positions.split(self.block, 1)
        ]
        return torch.cat(blocks, dim=1) if length else torch.zeros(users, 0)


def fine_tune(
    published: Published, strategy: ClientStrategy, cohort: Cohort, local: Local, recipe: Recipe
) -> Iterator[Parameters]:
    """Fine-tune a private copy of the published model for every user of the cohort.

    Args:
        published: the model to start from.
        strategy: its hooks.
        cohort: the users' samples; built with ``recipe.batch_size``.
        local: ``cohort.local(published)``.
        recipe: step size, epochs, seed.

    Yields:
        The stacked parameters after each epoch; they are tuned further when the next ones are asked for.

    Raises:
        ValueError: when a hook returns NaN or a wrong shape, or no parameter is trainable.
    """
    origin = cohort.stack(published.model)
    tables = set(_embeddings(published.model))
    tuned = {name: origin[name].clone().requires_grad_() for name in trainable_of(strategy, origin)}
    parameters = origin | tuned
    targets = soft_labels(strategy, local, published)
    users = len(cohort.users)
    everyone = _repeated(users)
    mask = cohort.train.mask.numpy()
    steps = -(-int(mask.sum(1).max()) // recipe.batch_size)
    penalised = type(strategy).penalty is not ClientStrategy.penalty
    origin_of_tuned = {name: origin[name] for name in tuned}

    for epoch in range(1, recipe.epochs + 1):
        order = torch.from_numpy(permutations(recipe.seed, f"shuffle {epoch}", cohort.users, mask))
        for own in order.split(recipe.batch_size, dim=1)[:steps]:
            own = F.pad(own, (0, cohort.block - own.shape[1]), value=-1)
            logits = functional_call(published.model, parameters, (cohort.batch(cohort.train, own),))
            logits = torch.cat([logits, logits.detach()[everyone[users:]]])
            positions = own[everyone]
            batch = local.at(positions)
            loss = minibatch_loss(strategy, logits, targets.gather(1, positions.clamp(min=0)), batch, published)[:users]
            if penalised:
                penalty = added_penalty(strategy, _whole(tuned, tables), _whole(origin_of_tuned, tables))
                if penalty is not None:
                    loss = loss + torch.where(batch.mask[:users].any(1), penalty, 0.0)
            gradients = torch.autograd.grad(loss.sum(), list(tuned.values()), allow_unused=True)
            with torch.no_grad():
                for value, gradient in zip(tuned.values(), gradients, strict=True):
                    if gradient is not None:
                        value.sub_(gradient, alpha=recipe.learning_rate)
        yield parameters


def _repeated(users: int) -> Tensor:
    """Rows int64 (a multiple of ``LANES``,) of these users, first each in its own place, then again from the first."""
    return torch.arange(-(-users // LANES) * LANES) % users


def _embeddings(model: Model) -> dict[str, Embedding]:
    """The model's embedding tables by the names of their parameters."""
    return {f"{name}.weight": module for name, module in model.named_modules() if isinstance(module, Embedding)}


def _whole(parameters: Parameters, tables: set[str]) -> Parameters:
    """Parameters whose tables are padded with zero rows, so that a sum over them is rounded as in any other cohort."""
    return {
        name: F.pad(value, (0, 0, 0, -value.shape[1] % SUMMED)) if name in tables else value
        for name, value in parameters.items()
    }


def _renumber(
    codes: npt.NDArray[np.int32], fields: tuple[Field, ...], side: Side, tables: dict[tuple[str, str], Tensor]
) -> Tensor:
    """Codes that number each user's own rows of each field's table; which rows these are is put into ``tables``."""
    columns = []
    for field, where in slices(fields):
        values = codes[..., where]
        distinct = Distinct.of(values.reshape(len(values), -1))
        tables[side, field.name] = torch.from_numpy(distinct.codes)
        columns.append(distinct.number(values).astype(np.int32))
    return torch.from_numpy(np.concatenate(columns, axis=-1))


def _padded(features: Features, users: Rows, part: Part, block: int) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """Rows (users, samples) of a part, padded to the longest user's padded length, and where they are real."""
    starts, stops = (bound[users][:, None] for bound in features.split.bounds(part))
    # A training part has a place to spare, for histories to point at when they are shorter than others.
    counts = (stops - starts)[:, 0] + (part == "train")
    rows = starts + np.arange(int(padded_length(counts, block).max()))
    mask = rows < stops
    # In the padding stands any row of the partition, or of the data set where a partition's users have none.
    return np.where(mask, rows, min(features.histories.first_row, features.dataset.samples - 1)), mask
