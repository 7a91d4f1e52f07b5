"""The floor: how many users a second one core could fine-tune and score if it did nothing but matrix products.

python floor.py WORKLOAD_FOLDER

floor = R / F, where

- R is this machine's rate of single-precision matrix products on one thread: the best that ``torch.mm`` reaches on
  square matrices of several sizes around 1024.
- F is the mean over users of the floating-point operations that their samples need; operations.py counts them.

Attention to single clicks and recurrent units multiply matrices so narrow that no program does it at that rate. For
their models there is a second, lower floor, with the rate that ``torch.mm`` reaches on matrices of these shapes, with
several steps' samples at once.
"""

import json
import sys
import time
from pathlib import Path

import torch
from operations import operations_per_user
from work import Work

SIZES = (512, 768, 1024, 1280, 1536)
SECONDS_PER_SIZE = 0.2
STEPS = 8  # so that the time of a call itself counts for little


def sgemm_rate() -> float:
    """Floating-point operations a second of the fastest matrix product; on as many threads as PyTorch has."""
    return max(2 * size**3 / _seconds(size, size, size) for size in SIZES)


def narrow_rate(work: Work) -> float | None:
    """The same of the products in a step that are narrower than those of layers; None for a model without."""
    weights, samples = work.parameters, STEPS * work.batch_size
    if work.model == "din":
        pairs, (hidden, width) = samples * work.train.history.shape[1], weights["attend_product.weight"].shape
        forward = pairs, width, hidden
    elif work.model == "dien":
        size = weights["extract.renew.weight"].shape[0]
        forward = samples, size, 3 * size
    else:
        return None
    rows, inner, columns = forward
    shapes = forward, (rows, columns, inner), (inner, rows, columns)
    return 3 * 2 * rows * inner * columns / sum(_seconds(*shape) for shape in shapes)


def _seconds(rows: int, inner: int, columns: int) -> float:
    """For one product, at best."""
    left, right, product = torch.rand(rows, inner), torch.rand(inner, columns), torch.empty(rows, columns)
    best = float("inf")
    end = time.perf_counter() + SECONDS_PER_SIZE
    while time.perf_counter() < end:
        begun = time.perf_counter()
        torch.mm(left, right, out=product)
        best = min(best, time.perf_counter() - begun)
    return best


def main() -> None:
    """Print the floor and what it is made of."""
    torch.set_num_threads(1)
    work = Work.read(Path(sys.argv[1]))
    rate, operations = sgemm_rate(), operations_per_user(work)
    narrow = narrow_rate(work)
    facts = {
        "sgemm_gflops": rate / 1e9,
        "mflop_per_user": (operations.products + operations.additions) / 1e6,
        "users_per_second": operations.users_per_second(rate),
        "narrow_gflops": narrow and narrow / 1e9,
    }
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
