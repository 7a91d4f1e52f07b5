"""Users who are fine-tuned together: their samples, and the rows of the embedding tables that they have copies of.

Whoever shares a cohort, results are the same to the bit. For that,

- users of one cohort have their samples padded to a length that each of them would have alone
  (:func:`padded_length`), and every tensor operation works on blocks of a fixed number of samples per user, a
  multiple of ``LANES``;
- a lone user is computed twice, because matrix products of a single one take another path.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedctr.data.dataset import slices
from fedctr.data.split import Part
from fedctr.features import Features, Rows
from fedctr.models.batch import Bag, Batch, Coded, shares
from fedctr.models.layers import Side
from fedctr.models.model import Model
from fedctr.published import Published
from fedctr.randomness import uniform
from fedctr.samples import Numbered, PartCodes, Samples, Table, Take, mean_clicks
from fedctr.stacking import LANES, Parameters, filled, repeated
from fedctr.strategy import Local


def padded_length(samples: Rows, block: int) -> Rows:
    """Samples rounded up to a number of blocks out of 0, 1, 2, 4, 8, 16, ...

    Few lengths keep cohorts full. Padding costs memory, but no step: those follow a user's own samples.
    """
    blocks = -(-samples // block)
    power = 2 ** np.ceil(np.log2(np.maximum(blocks, 1))).astype(np.int64)
    return np.where(blocks > 0, power, 0) * block


def block_of(batch_size: int) -> int:
    """Places in a block: the batch size rounded up to a multiple of ``LANES``."""
    return -(-batch_size // LANES) * LANES


def gather(
    features: Features,
    batch_size: int,
    size: Callable[[Rows, int], int],
    among: npt.NDArray[np.bool_] | None = None,
) -> Iterator[Rows]:
    """Group the users into cohorts of equal padded length, each in the order of their steps, most first.

    Args:
        features: the samples.
        batch_size: samples in a step of fine-tuning.
        size: users in a cohort at most, given all users of one padded length, and that length.
        among: bool, for every user of the data set whether it is wanted; None for all.

    Yields:
        int64 arrays, rows of the data set; together they are all of ``features.users`` that are wanted.
    """
    starts, stops = features.split.bounds("train")
    users = np.arange(features.users.start, features.users.stop)
    order = np.argsort(-features.local_samples // batch_size, kind="stable")
    lengths = padded_length((stops - starts)[users] + 1, block_of(batch_size))[order]
    for length in np.unique(lengths):
        group = users[order[lengths == length]]
        group = group if among is None else group[among[group]]
        if not len(group):
            continue
        most = size(group, int(length))
        yield from (group[first : first + most] for first in range(0, len(group), most))


@dataclass(frozen=True, eq=False)
class Cohort:
    """Samples of some users, in the form that the engine computes on.

    Attributes:
        users: int64 (users,), rows of the data set, those with most steps first; a lone user stands twice.
        past: the training parts, which histories point to.
        train: what the devices hold of them, to fine-tune on.
        scored: the parts to score.
        user: the users themselves.
        tables: the rows in use for each (side, field name).
        block: places for samples in a step of fine-tuning, and of scoring.
    """

    users: Rows
    past: Samples
    train: Samples
    scored: Samples
    user: dict[str, Bag]
    tables: dict[tuple[Side, str], Table]
    block: int

    @classmethod
    def build(
        cls,
        features: Features,
        users: Rows,
        part: Part,
        batch_size: int,
        reads: Collection[tuple[Side, str]],
    ) -> "Cohort":
        """Collect what is needed to fine-tune users out of :func:`gather` and to score one part of theirs.

        Args:
            features: the samples.
            users: int64 (users,), rows of the data set.
            part: what to score.
            batch_size: samples in a step of fine-tuning.
            reads: the fields that matter, :attr:`Model.reads`.
        """
        block = block_of(batch_size)
        if len(users) == 1:
            users = np.repeat(users, 2)
        dataset = features.dataset
        tables: dict[tuple[Side, str], Table] = {}
        user: dict[str, Bag] = {}
        for index, (field, columns) in enumerate(slices(dataset.schema.user_fields)):
            unread = ("user", field.name) not in reads
            # The id stays even if no table has it: a model that reads no other field learns from it how many users
            # there are.
            if unread and index > 0:
                continue
            codes = dataset.user_codes[users][:, None, columns]
            real = np.ones(codes.shape[:2], dtype=bool)
            numbered = Numbered.of(field, PartCodes(codes, real), PartCodes(codes[:, :0], real[:, :0]))
            user[field.name] = numbered.train
            if not unread:
                tables["user", field.name] = numbered.table

        (rows, mask), (scored_rows, scored_mask) = (
            padded_rows(features, users, which, block) for which in ("train", part)
        )
        described = [
            (dataset.described[np.where(real, dataset.item[row] + 1, 0)], real)
            for row, real in ((rows, mask), (scored_rows, scored_mask))
        ]
        fields: dict[str, Numbered] = {}
        for field, columns in slices(dataset.schema.item_fields):
            if ("item", field.name) not in reads:
                continue
            fields[field.name] = Numbered.of(
                field, *(PartCodes(codes[..., columns], real) for codes, real in described)
            )
            tables["item", field.name] = fields[field.name].table

        def samples(row: Rows, real: npt.NDArray[np.bool_], which: str) -> Samples:
            past = np.where(real[..., None], features.histories.of(row), -1)
            # The last place of a training part is always padding.
            places = np.where(past >= 0, past - features.split.start[users][:, None, None], mask.shape[1] - 1)
            history, weights = torch.from_numpy(places), torch.from_numpy(shares(past >= 0))
            return Samples(
                torch.from_numpy(real),
                torch.from_numpy(np.where(real, dataset.label[row], 0).astype(np.float32)),
                lambda: {name: field.places(getattr(field, which)) for name, field in fields.items()},
                lambda: history,
                lambda: weights,
            )

        past, scored = samples(rows, mask, "train"), samples(scored_rows, scored_mask, "scored")
        train = past if features.held is None else past.only(torch.from_numpy(features.held.of(rows)))
        return cls(users, past, train, scored, user, tables, block)

    @cached_property
    def clicks(self) -> Coded:
        """The items of ``past``; what is padding embeds to zeros."""
        real = self.past.mask.float().unsqueeze(2)
        return {
            name: Bag(places.rows, real) if isinstance(places, Bag) and places.weights is None else places
            for name, places in self.past.item.items()
        }

    def to(self, device: str) -> "Cohort":
        """The same on another device."""
        return self._take(self.users, lambda values: values.to(device))

    def first(self, users: int) -> "Cohort":
        """The cohort of the first users alone."""
        return self if users == len(self.users) else self._take(self.users[:users], lambda values: values[:users])

    def _take(self, users: Rows, take: Take) -> "Cohort":
        """The cohort of these users, made by a function of (users, ...)."""
        past = self.past.take(take)
        return Cohort(
            users,
            past,
            past if self.train is self.past else self.train.take(take),
            self.scored.take(take),
            {name: bag.take(take) for name, bag in self.user.items()},
            {name: table.take(take) for name, table in self.tables.items()},
            self.block,
        )

    def stack(self, model: Model) -> Parameters:
        """The model's parameters with a leading user axis, tables cut down to the rows in use."""
        tables = self._tables(model)
        return {
            name: tables[name].stack(value.detach())
            if name in tables
            else value.detach().expand(len(self.users), *value.shape)
            for name, value in model.named_parameters()
        }

    def local(self, published: Published, seed: int, personal: Parameters | None = None) -> Local:
        """The training parts as a strategy sees them: the users repeated up to a multiple of ``LANES``.

        Args:
            published: the model to start from.
            seed: of what strategies draw at random.
            personal: stacked parameters in which users start from values of their own; None where there are none.
        """
        return local_samples(
            self.users,
            self.train.labels,
            self.train.mask,
            seed,
            lambda: self._blocks(published.model, self.stack(published.model) | (personal or {}), self.train),
        )

    def score(self, model: Model, parameters: Parameters) -> npt.NDArray[np.float32]:
        """Logits float32 (users, samples) of ``scored``."""
        logits: npt.NDArray[np.float32] = self._blocks(model, self._whole(model, parameters), self.scored).cpu().numpy()
        return logits

    def represent(self, model: Model) -> tuple[Tensor, Tensor]:
        """The model's penultimate layers on ``scored`` and on ``train``, each float32 (users, samples, width)."""
        own = self.stack(model)
        return (
            self._blocks(model, self._whole(model, own), self.scored, _represent),
            self._blocks(model, own, self.train, _represent),
        )

    def batch(self, samples: Samples) -> Batch:
        """What a model reads of some samples of ``train`` or ``scored``."""
        return _Stacked(self, samples)

    @torch.no_grad()
    def _blocks(
        self,
        model: Model,
        parameters: Parameters,
        samples: Samples,
        compute: Callable[[Model, Batch], Tensor] = Model.__call__,
    ) -> Tensor:
        """What the model makes of samples, block by block: logits, unless told otherwise."""
        users, length = samples.mask.shape
        private = filled(model, parameters)
        firsts = range(0, length, self.block)
        return torch.cat([compute(private, self.batch(samples.block(at, self.block, users))) for at in firsts], dim=1)

    def _whole(self, model: Model, parameters: Parameters) -> Parameters:
        """The parameters with the rows of tables that only scored samples need."""
        tables, published = self._tables(model), dict(model.named_parameters())
        return parameters | {
            name: table.extend(parameters[name].detach(), published[name].detach()) for name, table in tables.items()
        }

    def _tables(self, model: Model) -> dict[str, Table]:
        return {name: self.tables[table.side, table.field] for name, table in model.embeddings.items()}


@dataclass(frozen=True, eq=False)
class _Stacked(Batch):
    """Samples of a cohort, for models with stacked parameters."""

    cohort: Cohort
    samples: Samples

    @property
    def user(self) -> Coded:
        return self.cohort.user

    @property
    def item(self) -> Coded:
        return self.samples.item

    @property
    def mean_click(self) -> Coded:
        rows = {name: table.rows for (side, name), table in self.cohort.tables.items() if side == "item"}
        return mean_clicks(self.cohort.past.item, rows, self.samples.history, self.samples.shares)

    @property
    def clicks(self) -> Coded:
        return self.cohort.clicks

    @property
    def history(self) -> Tensor:
        return self.samples.history


def _represent(model: Model, batch: Batch) -> Tensor:
    """As the model's own class has it."""
    return model.represent(batch)


def local_samples(users: Rows, labels: Tensor, mask: Tensor, seed: int, predict: Callable[[], Tensor]) -> Local:
    """Local samples as a strategy sees them: the users repeated up to a multiple of ``LANES``.

    Args:
        users: int64 (users,), rows of the data set.
        labels: float32 (users, samples), 0 in the padding.
        mask: bool (users, samples), False in the padding.
        seed: of what strategies draw at random.
        predict: gives the published model's logits (users, samples).
    """
    labels, mask = repeated(labels), repeated(mask)
    positives, samples = labels.sum(1, keepdim=True), mask.sum(1, keepdim=True).float()
    return Local(
        labels=labels,
        mask=mask,
        positives=positives,
        samples=samples,
        ctr=positives / samples.clamp(min=1),
        predict=lambda: repeated(predict()),
        random=lambda stage: repeated(torch.from_numpy(uniform(seed, stage, users)).to(labels.device)[:, None]),
    )


def padded_width(counts: Rows, block: int) -> int:
    """Places of users with so many samples: a block at least, so that nobody has to deal with none."""
    return int(padded_length(np.maximum(counts, 1), block).max())


def padded_rows(features: Features, users: Rows, part: Part, block: int) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """Rows (users, samples) of a part, padded to the longest user's padded length, and where they are real."""
    starts, stops = (bound[users][:, None] for bound in features.split.bounds(part))
    # A training part has a place to spare, for histories to point at when they are shorter than others.
    rows = starts + np.arange(padded_width((stops - starts)[:, 0] + (part == "train"), block))
    mask = rows < stops
    # In the padding stands any row of the partition, or of the data set where a partition's users have none.
    return np.where(mask, rows, min(features.first_row, features.dataset.samples - 1)), mask
