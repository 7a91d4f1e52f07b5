"""Random streams that depend on (seed, user, stage) alone, never on who is computed beside whom."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def words(seed: int, stage: str, users: npt.NDArray[np.int64], count: int) -> Words:
    """Independent 64-bit words, the ``k``-th of user ``u`` being a hash of (seed, stage, u, k).

    The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), applied once for each part of
    the key, so every word can be had without drawing those before it.

    Args:
        seed: any integer.
        stage: what the words are for, such as ``"shuffle 2"``; another stage is another stream.
        users: int64 (users,), rows of the data set.
        count: words per user.

    Returns:
        uint64 (users, count).
    """
    return words_at(seed, stage, users[:, None], np.arange(count))


def words_at(seed: int, stage: str, users: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Words:
    """The words of :func:`words` one by one: for each user that at its place, in the shape of both together."""
    return _mix(_mix(stream(seed, stage) ^ users.astype(np.uint64)) ^ places.astype(np.uint64))


@lru_cache(maxsize=256)
def stream(seed: int, stage: str) -> Words:
    """What the words of a seed and a stage begin with, uint64 (1,), not to be written to."""
    state = _mix(np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64))
    for byte in stage.encode():
        state = _mix(state ^ np.uint64(byte))
    state.flags.writeable = False
    return state


def uniform(seed: int, stage: str, users: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """A number from 0 to below 1 for each user, float32 (users,), of equal steps of 2 ** -24."""
    return ((words(seed, stage, users, 1)[:, 0] >> np.uint64(40)) * 2.0**-24).astype(np.float32)


def uniform_at(
    seed: int, stage: str, users: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """A number from 0 to below 1 for each user and place, of equal steps of 2 ** -53, in the shape of both together."""
    # 53 bits are what a float holds.
    return (words_at(seed, stage, users, places) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, stage: str, users: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Standard normal numbers float64 (users, count), by the transform of Box and Muller (1958)."""
    numbers = uniform_at(seed, stage, users[:, None], np.arange(2 * count))
    radius = np.sqrt(-2 * np.log1p(-numbers[:, :count]))
    values: npt.NDArray[np.float64] = radius * np.cos(2 * np.pi * numbers[:, count:])
    return values


def permutations(
    seed: int, stage: str, users: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """A random order of every user's samples, those outside the mask last and in their old order.

    Args:
        seed: any integer.
        stage: names the stream.
        users: int64 (users,).
        mask: bool (users, samples), True where the user has a sample.

    Returns:
        intp (users, samples), positions along the sample axis.
    """
    keys = words(seed, stage, users, mask.shape[1]) >> np.uint64(1)
    keys[~mask] = np.iinfo(np.uint64).max
    return np.argsort(keys, axis=1, kind="stable")


def _mix(state: Words) -> Words:
    with np.errstate(over="ignore"):
        state = state + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
