"""Rows of numbers cleared, copied and added."""

import numpy as np

from fedctr.fused.compiled import compiled
from fedctr.fused.tiles import PADDED, Floats
from fedctr.fused.vectors import HALF, load, load_half, multiply_add, spread, spread_half, store, store_some


@compiled
def clear_places(target: Floats, at: int, count: int) -> None:
    """Write zeros to so many places, in whole vectors."""
    for j in range(0, count, PADDED):
        store(target, at + j, spread(np.float32(0)))


@compiled
def copy_row(target: Floats, to: int, source: Floats, of: int, size: int) -> None:
    """Write a row; beside it other columns may stand."""
    if size == 1:
        target[to] = source[of]
        return
    whole = size // PADDED * PADDED
    for j in range(0, whole, PADDED):
        store(target, to + j, load(source, of + j))
    if size - whole == HALF:
        store(target, to + whole, load_half(source, of + whole))
    elif whole < size:
        store_some(target, to + whole, load(source, of + whole), size - whole)


@compiled
def add_row(target: Floats, to: int, source: Floats, of: int, size: int, share: np.float32) -> None:
    """Add a share of a row, likewise."""
    if size == 1:
        target[to] += share * source[of]
        return
    whole = size // PADDED * PADDED
    for j in range(0, whole, PADDED):
        store(target, to + j, multiply_add(spread(share), load(source, of + j), load(target, to + j)))
    if size - whole == HALF:
        half = multiply_add(spread_half(share), load_half(source, of + whole), load_half(target, to + whole))
        store(target, to + whole, half)
    elif whole < size:
        some = multiply_add(spread(share), load(source, of + whole), load(target, to + whole))
        store_some(target, to + whole, some, size - whole)
