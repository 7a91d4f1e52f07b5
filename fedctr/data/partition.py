"""Which users a simulated client holds."""


def partition(users: int, index: int, count: int) -> range:
    """The ``index``-th of ``count`` runs of neighbouring users, whose sizes differ by one at most.

    Neighbours keep a partition's samples in one piece of the memory-mapped data set.
    """
    return range(users * index // count, users * (index + 1) // count)
