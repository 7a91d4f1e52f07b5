"""The floor: how many users a second one core could fine-tune and score if it did nothing but matrix products.

python floor.py WORKLOAD_FOLDER

floor = R / F, where

- R is this machine's rate of single-precision matrix products on one thread: what ``torch.mm`` reaches on square
  matrices of that one of several sizes around 1024 which is fastest. It is the mean over a while, by CPU time, as the
  engine's rate is: a machine that is slower at times is so for both.
- F is the mean over users of the floating-point operations that their samples need; operations.py counts them.

Attention and recurrent units multiply matrices so narrow that PyTorch does not do it at that rate. For their models
there is a second, lower floor: with each product at the rate that PyTorch reaches on matrices of its shape, when it
multiplies several steps' samples at once, forward and backward. That is ``torch.mm`` where all samples are multiplied
with one matrix, and ``torch.bmm`` where each is with its own, such as fields that attend to one another. Products with
a vector are counted at the best rate all the same.
"""

import json
import sys
import time
from math import prod
from pathlib import Path

import torch
from operations import Operations, Shape, operations_per_user
from torch.utils.benchmark import Timer
from work import Work

SIZES = (512, 768, 1024, 1280, 1536)
SECONDS_PER_SIZE = 0.2
NARROW = ("autoint", "din", "dien")
STEPS = 8  # so that the time of a call itself counts for little


def sgemm_rate() -> float:
    """Floating-point operations a second of the fastest size; with one thread, since it goes by CPU time."""
    return max(2 * size**3 / _seconds(size, size, size) for size in SIZES)


def narrow_rate(work: Work, operations: Operations, best: float) -> float | None:
    """The same of all that a model does, with each product at its shape's rate; None for one without narrow ones."""
    if work.model not in NARROW:
        return None
    samples = STEPS * work.batch_size
    return operations.rate(best, lambda shape: _rate_of(shape, samples, work.heads))


def _rate_of(shape: Shape, samples: int, heads: int) -> float:
    """Of one product forward, and of both for its gradients."""
    rows, inner, columns, shared = shape
    rows, batch = (samples * rows, ()) if shared else (rows, (samples * heads,))
    operations = 3 * 2 * prod(batch) * rows * inner * columns
    factors = (rows, inner, columns), (rows, columns, inner), (inner, rows, columns)
    return operations / sum(_seconds(*each, batch=batch) for each in factors)


def _seconds(rows: int, inner: int, columns: int, batch: tuple[int, ...] = ()) -> float:
    """CPU time of one product, or of a batch of them, on average."""
    left, right = torch.rand(*batch, rows, inner), torch.rand(*batch, inner, columns)
    product, multiply = torch.empty(*batch, rows, columns), torch.bmm if batch else torch.mm
    names = {"multiply": multiply, "left": left, "right": right, "product": product}
    timer = Timer("multiply(left, right, out=product)", globals=names, timer=time.process_time)
    return timer.blocked_autorange(min_run_time=SECONDS_PER_SIZE).mean


def main() -> None:
    """Print the floor and what it is made of."""
    torch.set_num_threads(1)
    work = Work.read(Path(sys.argv[1]))
    rate, operations = sgemm_rate(), operations_per_user(work)
    narrow = narrow_rate(work, operations, rate)
    facts = {
        "sgemm_gflops": rate / 1e9,
        "mflop_per_user": (operations.products + operations.additions) / 1e6,
        "users_per_second": operations.users_per_second(rate),
        "narrow_gflops": narrow and narrow / 1e9,
    }
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
