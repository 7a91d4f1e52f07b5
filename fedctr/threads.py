"""How a thread computes: alone, for sums split over threads would depend on the machine's cores; and how small."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def single_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def without_subnormals() -> Iterator[None]:
    """Let numbers below 1e-38 be 0 inside the block, in this thread; all work of devices is done so.

    Training leaves a few of them, of which processors make products and sums a hundred times as slowly.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
