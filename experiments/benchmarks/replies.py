"""How long a run of fedctr through Flower takes for each task, once its workers are warm."""

import time

from fedctr.progress import Silent

# Replies before the clock starts, by when both workers are warm, and after it stops, until when both are busy.
WARM_UP, REST = 6, 6


class Replies(Silent):
    """Notes when the server read each reply to the tasks of the last phase."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def phase(self, name: str, total: int | None = None, unit: str = "") -> None:
        """Begin anew."""
        self.times = []

    def advance(self, steps: int = 1, note: str = "") -> None:
        """A reply was read."""
        self.times.append(time.perf_counter())

    def seconds_each(self) -> float:
        """Wall time for each reply, between two looks for replies: all that had come by then were read at once."""
        begun, ended = self.times[WARM_UP - 1], self.times[-REST - 1]
        read = sum(begun + 0.01 < moment <= ended + 0.01 for moment in self.times)
        return (ended - begun) / read
