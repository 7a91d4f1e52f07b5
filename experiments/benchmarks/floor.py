"""The floor: how many users a second one core could fine-tune and score if it did nothing but matrix products.

python floor.py WORKLOAD_FOLDER

floor = R / F, where

- R is this machine's rate of single-precision matrix products on one thread: the best that ``torch.mm`` reaches on
  square matrices of several sizes around 1024.
- F is the mean over users of the floating-point operations that their samples need; operations.py counts them.
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
