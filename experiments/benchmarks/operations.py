"""How many floating-point operations of matrix products a user cannot do without.

F is the mean over users, from their actual numbers of samples and clicks, without any padding:

    F = sum over training batches of (3 * 2 * M + 2 * A)  +  (2 * M + A) of the scored samples

M are the multiply-adds of all matrix products of one forward pass, at 2 operations each. What is the same for all
samples of a user counts once for the pass, not once for each sample, such as the part of the first layer that reads the
user. In training there is, besides the forward pass, a product for the gradient of the weights and one for that of the
inputs; of the latter none can be spared, because the first layer's inputs are embeddings, which are tuned too. Where
embeddings are multiplied with each other, each of both has a gradient. A are the additions that pool embeddings (of a
history, of a field with several values), at 1 operation each; in training the gradient is spread over as many again.

Left out are activations, loss, biases, the optimiser's step, copying the published weights, the metric, products
element by element, and all traffic with memory: a program cannot do without them, so it cannot reach the floor.

M of a batch of n samples, with H1 and H2 hidden units, and with U, I and C numbers that embed the user, the item and
the history:

    ncf        U * H1 + n * (I * H1 + H1 * H2 + H2)
    wide-deep  U * H1 + n * ((I + C) * H1 + H1 * H2 + H2)
    deepfm     as for wide-deep: the sum over all pairs of fields needs no matrix product, and is left out
    fm         0: the same sum and nothing else
    pnn        as for wide-deep, + V * (E + H1) + n * (P - V) * (E + H1)
               with P pairs of fields, V of them both of the user, and E numbers that embed a field
    dcn-v2     as for wide-deep, + U * W + n * (I + C) * W + n * (L - 1) * W * W + n * W
               with L cross layers that make W = U + I + C numbers, of which only the first reads what embeds the user,
               and one that reads what they make
    autoint    (G + n * (K - G)) * E * 4 * D + (G * G + n * (K * K - G * G)) * D + n * K * K * D for each layer,
               + n * K * D
               with K fields, G of them the same for all samples (the user's, in the first layer), E numbers of a field
               that a layer reads and D that it gives: queries, keys, values and residuals, then what queries make of
               keys, then the values weighted; at the end a layer that reads everything
    din        as for wide-deep, + n * I * T + d * C * T + p * (C * T + T + C)
               with T hidden units of the attention, d distinct clicks in the batch's histories, and p clicks when the
               lengths of the histories are added up: what reads only the click is due once for each distinct one; what
               reads its product with the item, the click's weight, and the weighted sum of the clicks are due for each
               click of each sample
    dien       as for wide-deep with C = I, + n * I * I + d * X + (e - f) * X + e * X + p * I + (p - q) * X
               with X = 3 * I * I for the three parts of what a recurrent unit reads and as many of what it makes of its
               state, d and p as for din, e different interests (what is made of a click and all before it in a history
               is due once for all samples with the same), f of them with no click before, and q histories that are not
               empty: the state to begin with is zero and needs no product
    lr         0

For ``lr``, A are its look-ups: one addition for each value that describes the user, once, and the item, for each
sample. ``lr`` and ``fm`` multiply no matrices, so a floor that is the rate of matrix products means nothing for them.

Another model needs a function in ``FORWARD``.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
from work import Integers, Part, Work


class Shape(NamedTuple):
    """Of the matrices that are multiplied for each sample, (rows, inner) and (inner, columns).

    Attributes:
        rows: of the first one.
        inner: its columns.
        columns: of the second one.
        shared: whether the second one is the same for all samples, so that their rows make up one matrix.
    """

    rows: int
    inner: int
    columns: int
    shared: bool = True

    @property
    def has_vector(self) -> bool:
        """Whether one of both is but a vector, or their product a sum of such."""
        return min(self.inner, self.columns) == 1 or (self.rows == 1 and not self.shared)


Products = Counter[Shape]  # multiply-adds


@dataclass(frozen=True)
class Operations:
    """Floating-point operations per user.

    Attributes:
        by_shape: those of matrix products.
        additions: those that pool embeddings.
    """

    by_shape: Mapping[Shape, float]
    additions: float

    @property
    def products(self) -> float:
        """Those of all matrix products."""
        return sum(self.by_shape.values())

    def users_per_second(self, rate: float) -> float | None:
        """The floor at so many operations a second; None for a model without matrix products, which has none."""
        return rate / (self.products + self.additions) if self.by_shape else None

    def rate(self, best: float, rate_of: Callable[[Shape], float]) -> float:
        """All operations a second, with each product of matrices at the rate of its shape, and the rest at the best."""
        seconds = self.additions / best
        for shape, count in self.by_shape.items():
            seconds += count / (best if shape.has_vector else rate_of(shape))
        return (self.products + self.additions) / seconds


def operations_per_user(work: Work) -> Operations:
    """F, the mean over users."""
    forward = FORWARD[work.model]
    products, additions = Counter[Shape](), 0
    for user in range(work.users):
        for rows in work.training_rows(user):
            multiply_adds, added = forward(work, work.train, rows)
            products.update({shape: 3 * 2 * count for shape, count in multiply_adds.items()})
            additions += 2 * added
        scored = work.test.of(user)
        multiply_adds, added = forward(work, work.test, np.arange(scored.start, scored.stop))
        products.update({shape: 2 * count for shape, count in multiply_adds.items()})
        additions += added
    return Operations({shape: count / work.users for shape, count in products.items()}, additions / work.users)


# Each of these gives M, by the shapes of the matrices, and A of one forward pass over some samples of one user.


def ncf(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """An MLP alone."""
    return _mlp(work, len(rows), _user_width(work)), 0


def wide_deep(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """An MLP, and what is pooled of wide and deep tables."""
    return _mlp(work, len(rows), _user_width(work)), _mean_history(work, part, rows, ("wide", "embedding"))


def fm(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """No products."""
    return Counter(), _mean_history(work, part, rows, ("wide", "embedding"))


def pnn(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """Inner products, and an MLP that reads them as well."""
    size, (fields, of_user) = _size(work), _fields(work)
    pairs, constant = comb(fields, 2), comb(of_user, 2)
    found = _mlp(work, len(rows), _user_width(work) + constant)
    found[Shape(fields, size, fields, shared=False)] += (constant + len(rows) * (pairs - constant)) * size
    return found, _mean_history(work, part, rows, ("embedding",))


def dcn_v2(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """Cross layers, of which only the first one's input is in part the same for all samples, and an MLP."""
    user, samples, (_, width) = _user_width(work), len(rows), work.parameters["crossed.weight"].shape
    later = sum(name.startswith("cross.") and name.endswith(".weight") for name in work.parameters) - 1
    found = _mlp(work, samples, user)
    found[Shape(1, width - user, width)] += (user + samples * (width - user)) * width
    found[Shape(1, width, width)] += samples * later * width**2
    found[Shape(1, width, 1)] += samples * width
    return found, _mean_history(work, part, rows, ("embedding",))


def autoint(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """Layers of attention, and one that reads what they give."""
    (fields, constant), samples = _fields(work), len(rows)
    found = _mlp(work, samples, 0)
    layers = [values for name, values in work.parameters.items() if name.startswith("attend.")]
    for index, weight in enumerate(layers):
        outputs, inputs = weight.shape
        made, same = outputs // 4, 0 if index else constant
        found[Shape(fields, inputs, outputs)] += (same + samples * (fields - same)) * inputs * outputs
        compared = same**2 + samples * (fields**2 - same**2)
        found[Shape(fields, made // work.heads, fields, shared=False)] += compared * made
        found[Shape(fields, fields, made // work.heads, shared=False)] += samples * fields**2 * made
    return found, _mean_history(work, part, rows, ("embedding",))


def din(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """Attention to the history, and an MLP."""
    history, samples = part.history[rows], len(rows)
    width, length = _width(work, "embedding", work.item_fields), history.shape[1]
    hidden = len(work.parameters["attend_click.weight"])
    distinct, pairs = int((np.unique(history) > 0).sum()), int((history > 0).sum())
    found = _mlp(work, samples, _user_width(work))
    found[Shape(1, width, hidden)] += (samples + distinct) * width * hidden
    found[Shape(length, width, hidden)] += pairs * width * hidden
    found[Shape(length, hidden, 1)] += pairs * hidden
    found[Shape(1, length, width, shared=False)] += pairs * width
    return found, _pooling(work, part, rows, ("embedding",))


def dien(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """Interests of clicks, their evolution with regard to each sample's item, and an MLP."""
    size, samples = _width(work, "embedding", work.item_fields), len(rows)
    histories = [clicks[clicks > 0][::-1] for clicks in part.history[rows]]
    interests = {clicks[: place + 1].tobytes() for clicks in histories for place in range(len(clicks))}
    first = {clicks[:1].tobytes() for clicks in histories if len(clicks)}
    pairs, distinct = sum(map(len, histories)), int((np.unique(part.history[rows]) > 0).sum())
    later = pairs - sum(len(clicks) > 0 for clicks in histories)
    found = _mlp(work, samples, _user_width(work))
    found[Shape(1, size, 3 * size)] += 3 * size**2 * (distinct + 2 * len(interests) - len(first) + later)
    found[Shape(1, size, size)] += samples * size**2
    found[Shape(part.history.shape[1], size, 1, shared=False)] += pairs * size
    return found, _pooling(work, part, rows, ("embedding",))


def lr(work: Work, part: Part, rows: Integers) -> tuple[Products, int]:
    """No products; look-ups are its additions."""
    user = int(part.offsets.searchsorted(rows[0], "right")) - 1 if len(rows) else 0
    look_ups = (work.item_codes[part.item[rows]] > 0).sum() + (work.user_codes[user] > 0).sum()
    return Counter(), int(look_ups)


def _mlp(work: Work, samples: int, constant: int) -> Products:
    """Multiply-adds of the MLP, of whose inputs so many are the same for all samples."""
    layers = [values for name, values in work.parameters.items() if name.startswith("mlp.") and values.ndim == 2]
    (hidden, inputs), *others = (weight.shape for weight in layers)
    found = Counter({Shape(1, inputs - constant, hidden): (constant + samples * (inputs - constant)) * hidden})
    for after, before in others:
        found[Shape(1, before, after)] += samples * before * after
    return found


def _fields(work: Work) -> tuple[int, int]:
    """How many fields there are in all, of user, item and mean history, and how many of the user."""
    return len(work.user_fields) + 2 * len(work.item_fields), len(work.user_fields)


def _size(work: Work) -> int:
    """Numbers that embed one field, which are as many for each."""
    return _user_width(work) // len(work.user_fields)


def _user_width(work: Work) -> int:
    return _width(work, "embedding", work.user_fields)


def _width(work: Work, kind: str, fields: dict[str, tuple[int, int]]) -> int:
    return sum(work.parameters[f"{kind}.{name}.weight"].shape[1] for name in fields)


def _mean_history(work: Work, part: Part, rows: Integers, kinds: tuple[str, ...]) -> int:
    """Additions for the mean of each history, and for the fields with several values."""
    clicks = int((part.history[rows] > 0).sum())
    return clicks * _width(work, "embedding", work.item_fields) + _pooling(work, part, rows, kinds)


def _pooling(work: Work, part: Part, rows: Integers, kinds: tuple[str, ...]) -> int:
    """Additions for the fields with several values, of each distinct item once."""
    additions = 0
    shown = np.unique(np.append(part.history[rows], part.item[rows]))
    for name, (first, stop) in work.item_fields.items():
        if stop - first > 1:
            width = sum(_width(work, kind, {name: (first, stop)}) for kind in kinds)
            additions += int((work.item_codes[shown, first:stop] > 0).sum()) * width
    return additions


FORWARD: dict[str, Callable[[Work, Part, Integers], tuple[Products, int]]] = {
    "ncf": ncf,
    "wide-deep": wide_deep,
    "deepfm": wide_deep,
    "fm": fm,
    "pnn": pnn,
    "dcn-v2": dcn_v2,
    "autoint": autoint,
    "din": din,
    "dien": dien,
    "lr": lr,
}
