"""The random order of a device's samples, that of :func:`fedctr.randomness.permutations` to the last place."""

import numpy as np

from fedctr.fused.compiled import compiled, entry
from fedctr.fused.state import Bench

GOLDEN, FIRST, SECOND = (np.uint64(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
BITS = np.uint64(63)  # of a key


@compiled
def _mixed(state: np.uint64) -> np.uint64:
    """The finaliser of SplitMix64, as in :mod:`fedctr.randomness`."""
    state = state + GOLDEN
    state = (state ^ (state >> np.uint64(30))) * FIRST
    state = (state ^ (state >> np.uint64(27))) * SECOND
    return state ^ (state >> np.uint64(31))


@entry
def shuffle(stream: np.uint64, user: int, count: int, bench: Bench) -> None:
    """Let ``bench.order`` be a random order of so many samples.

    Keys are spread evenly. Once they are in ranges, of which there are as many as samples, each is next to its place.
    """
    own, width = _mixed(stream ^ np.uint64(user)), np.uint64(0)
    while (1 << width) < count:
        width += np.uint64(1)
    keys, ranges, order = bench.keys, bench.ranges[: (1 << width) + 1], bench.order
    for index in range(len(ranges)):
        ranges[index] = 0
    for place in range(count):
        keys[place] = _mixed(own ^ np.uint64(place)) >> np.uint64(1)
        ranges[(keys[place] >> (BITS - width)) + np.uint64(1)] += 1
    for index in range(1, len(ranges)):
        ranges[index] += ranges[index - 1]
    for place in range(count):
        index = keys[place] >> (BITS - width)
        order[ranges[index]] = place
        ranges[index] += 1
    for rank in range(1, count):
        place, to = order[rank], rank
        while to > 0 and keys[order[to - 1]] > keys[place]:
            order[to] = order[to - 1]
            to -= 1
        order[to] = place
