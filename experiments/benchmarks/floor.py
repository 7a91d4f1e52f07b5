"""The floor: how many users a second one core could fine-tune and score if it did nothing but matrix products.

python floor.py WORKLOAD_FOLDER

floor = R / F, where

- R is this machine's rate of single-precision matrix products on one thread: the best that ``torch.mm`` reaches on
  square matrices of several sizes around 1024.
- F is the mean over users of their own floating-point operations, from their actual numbers of samples and clicks,
  without any padding:

      F = sum over training batches of (3 * 2 * M + 2 * A)  +  (2 * M + A) of the scored samples

  M are the multiply-adds of all matrix products of one forward pass, at 2 operations each. What is the same for all
  samples of a user counts once for the pass, not once for each sample: the part of the first layer that reads the user.
  In training there is, besides the forward pass, a product for the gradient of the weights and one for that of the
  inputs; of the latter none can be spared, because the first layer's inputs are embeddings, which are tuned too.
  A are the additions that pool embeddings (of a history, of a field with several values), at 1 operation each; in
  training the gradient is spread over as many again.

Left out are activations, loss, biases, the optimiser's step, copying the published weights, the metric, and all
traffic with memory: a program cannot do without them, so it cannot reach the floor.

M and A of a batch of n samples, with H1 and H2 hidden units, and with U, I and C numbers that embed the user, the item
and the history:

    ncf        M = U * H1 + n * (I * H1 + H1 * H2 + H2)
    wide-deep  M = U * H1 + n * ((I + C) * H1 + H1 * H2 + H2)
    deepfm     M as for wide-deep: what pairs of fields make needs no matrix product, and is left out
    din        M as for wide-deep, and for the attention with T hidden units
               + n * I * T + d * C * T + p * (C * T + T + C)
    lr         M = 0

where d counts the distinct clicks in the batch's histories, and p adds up the actual lengths of the histories. The part
of the attention that reads only the click is due once for each distinct click; the part that reads its product with the
item, the click's weight, and the weighted sum of the clicks are due for each click of each sample.

For ``lr``, A are its look-ups: one addition for each value that describes the user, once, and the item, for each
sample. It multiplies no matrices, so a floor that is the rate of matrix products means nothing for it, and no share of
the floor is reported.

Another model needs a function in ``FORWARD``.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from work import Integers, Part, Work

SIZES = (512, 768, 1024, 1280, 1536)
SECONDS_PER_SIZE = 0.2


def sgemm_rate() -> float:
    """Floating-point operations a second of the fastest matrix product, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return max(_rate(size) for size in SIZES)
    finally:
        torch.set_num_threads(threads)


def _rate(size: int) -> float:
    left, right, product = torch.rand(size, size), torch.rand(size, size), torch.empty(size, size)
    best = float("inf")
    end = time.perf_counter() + SECONDS_PER_SIZE
    while time.perf_counter() < end:
        begun = time.perf_counter()
        torch.mm(left, right, out=product)
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best


def ncf(work: Work, part: Part, rows: Integers) -> tuple[int, int]:
    """Multiply-adds and additions of one forward pass over some samples of one user."""
    return _mlp(work, len(rows)), 0


def wide_deep(work: Work, part: Part, rows: Integers) -> tuple[int, int]:
    """Multiply-adds and additions of one forward pass over some samples of one user."""
    clicks = int((part.history[rows] > 0).sum())
    additions = clicks * _width(work, "embedding", work.item_fields)
    return _mlp(work, len(rows)), additions + _pooling(work, part, rows, ("wide", "embedding"))


def din(work: Work, part: Part, rows: Integers) -> tuple[int, int]:
    """Multiply-adds and additions of one forward pass over some samples of one user."""
    history = part.history[rows]
    width = _width(work, "embedding", work.item_fields)
    attention = len(work.parameters["attend_click.weight"])
    distinct = int((np.unique(history) > 0).sum())
    layers = (len(rows) + distinct) * width * attention
    pairs = int((history > 0).sum()) * (width * attention + attention + width)
    return _mlp(work, len(rows)) + layers + pairs, _pooling(work, part, rows, ("embedding",))


def lr(work: Work, part: Part, rows: Integers) -> tuple[int, int]:
    """Multiply-adds, which are none, and look-ups of one forward pass over some samples of one user."""
    user = int(part.offsets.searchsorted(rows[0], "right")) - 1 if len(rows) else 0
    look_ups = (work.item_codes[part.item[rows]] > 0).sum() + (work.user_codes[user] > 0).sum()
    return 0, int(look_ups)


def _mlp(work: Work, samples: int) -> int:
    """Multiply-adds of the MLP, whose first layer reads the user first."""
    (hidden, inputs), *others = (work.parameters[f"mlp.{index}.weight"].shape for index in (0, 2, 4))
    user_width = _width(work, "embedding", work.user_fields)
    per_sample = (inputs - user_width) * hidden + sum(before * after for after, before in others)
    total: int = user_width * hidden + samples * per_sample
    return total


def _width(work: Work, kind: str, fields: dict[str, tuple[int, int]]) -> int:
    return sum(work.parameters[f"{kind}.{name}.weight"].shape[1] for name in fields)


def _pooling(work: Work, part: Part, rows: Integers, kinds: tuple[str, ...]) -> int:
    """Additions for the fields with several values, of each distinct item once."""
    additions = 0
    shown = np.unique(np.append(part.history[rows], part.item[rows]))
    for name, (first, stop) in work.item_fields.items():
        if stop - first > 1:
            width = sum(_width(work, kind, {name: (first, stop)}) for kind in kinds)
            additions += int((work.item_codes[shown, first:stop] > 0).sum()) * width
    return additions


FORWARD: dict[str, Callable[[Work, Part, Integers], tuple[int, int]]] = {
    "ncf": ncf,
    "wide-deep": wide_deep,
    "deepfm": wide_deep,
    "din": din,
    "lr": lr,
}


@dataclass(frozen=True)
class Operations:
    """Floating-point operations per user.

    Attributes:
        products: those of matrix products.
        additions: those that pool embeddings.
    """

    products: float
    additions: float

    def users_per_second(self, rate: float) -> float | None:
        """The floor at so many operations a second; None for a model without matrix products, which has none."""
        return rate / (self.products + self.additions) if self.products else None


def operations_per_user(work: Work) -> Operations:
    """F, the mean over users."""
    forward = FORWARD[work.model]
    products = additions = 0
    for user in range(work.users):
        for rows in work.training_rows(user):
            multiply_adds, added = forward(work, work.train, rows)
            products, additions = products + 3 * 2 * multiply_adds, additions + 2 * added
        scored = work.test.of(user)
        multiply_adds, added = forward(work, work.test, np.arange(scored.start, scored.stop))
        products, additions = products + 2 * multiply_adds, additions + added
    return Operations(products / work.users, additions / work.users)


def main() -> None:
    """Print the floor and what it is made of."""
    work = Work.read(Path(sys.argv[1]))
    rate, operations = sgemm_rate(), operations_per_user(work)
    facts = {
        "sgemm_gflops": rate / 1e9,
        "mflop_per_user": (operations.products + operations.additions) / 1e6,
        "users_per_second": operations.users_per_second(rate),
    }
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
