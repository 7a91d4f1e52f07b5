"""How many users are fine-tuned at once."""

import os
from functools import cache
from pathlib import Path

import torch

AT_LEAST, AT_MOST = 32, 512
UNKNOWN = 8 << 20  # bytes, where the system does not tell


def users_at_once(working_set: int, device: str) -> int:
    """Users in a cohort: as many as the processor's cache holds, or a quarter of the free memory of a GPU.

    Args:
        working_set: bytes per user that a step of fine-tuning goes through.
        device: ``cpu`` or ``cuda``.
    """
    if device == "cpu":
        return users_in_cache(working_set)
    free, _ = torch.cuda.mem_get_info()
    return max(free // 4 // max(working_set, 1), AT_LEAST)


def users_in_cache(working_set: int) -> int:
    """Users in a cohort, a multiple of 32, so that a step's data stay in the cache between its operations.

    With fewer users, the fixed cost of every operation counts for more; with more, the stacked weights are read from
    memory.

    Args:
        working_set: bytes per user that a step of fine-tuning goes through.
    """
    users = _bytes_per_core() // max(working_set, 1)
    return min(max(users // 32 * 32, AT_LEAST), AT_MOST)


@cache
def _bytes_per_core() -> int:
    """A core's share of the last level of cache."""
    found = [_bytes(file.read_text()) for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max(found) // (os.cpu_count() or 1) if found else UNKNOWN


def _bytes(text: str) -> int:
    """``32768K`` in bytes."""
    return int(text.strip().removesuffix("K")) << 10
