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

For M = sum over layers of inputs x outputs, with H = 128 and 64 hidden units, U = 48 numbers that embed the user, and
I = 96 that embed item and history, a batch of n samples of ``wide-deep`` needs M = U * 128 + n * (I * 128 + 128 * 64 +
64 * 1). Another model needs a function like :func:`wide_deep` in ``FORWARD``.
"""

import json
import sys
import time
from collections.abc import Callable
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


def wide_deep(work: Work, part: Part, rows: Integers) -> tuple[int, int]:
    """Multiply-adds and additions of one forward pass of Wide & Deep over some samples of one user."""
    parameters = work.parameters
    (hidden, inputs), *others = (parameters[f"mlp.{index}.weight"].shape for index in (0, 2, 4))
    user_width = sum(parameters[f"embedding.{name}.weight"].shape[1] for name in work.user_fields)
    item_width = sum(parameters[f"embedding.{name}.weight"].shape[1] for name in work.item_fields)
    per_sample = (inputs - user_width) * hidden + sum(before * after for after, before in others)
    products = user_width * hidden + len(rows) * per_sample

    history = part.history[rows]
    additions = int((history > 0).sum()) * item_width
    shown = np.unique(np.append(history, part.item[rows]))
    for name, (first, stop) in work.item_fields.items():
        if stop - first > 1:
            width = sum(parameters[f"{kind}.{name}.weight"].shape[1] for kind in ("wide", "embedding"))
            additions += int((work.item_codes[shown, first:stop] > 0).sum()) * width
    return products, additions


FORWARD: dict[str, Callable[[Work, Part, Integers], tuple[int, int]]] = {"wide-deep": wide_deep}


def operations_per_user(work: Work) -> float:
    """F, the mean over users."""
    forward = FORWARD[work.model]
    total = 0
    for user in range(work.users):
        for rows in work.training_rows(user):
            products, additions = forward(work, work.train, rows)
            total += 3 * 2 * products + 2 * additions
        products, additions = forward(work, work.test, np.arange(work.test.offsets[user], work.test.offsets[user + 1]))
        total += 2 * products + additions
    return total / work.users


def main() -> None:
    """Print the floor and what it is made of."""
    work = Work.read(Path(sys.argv[1]))
    rate, operations = sgemm_rate(), operations_per_user(work)
    facts = {"sgemm_gflops": rate / 1e9, "mflop_per_user": operations / 1e6, "users_per_second": rate / operations}
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
