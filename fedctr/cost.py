"""What a run takes: wall time, and memory over all of its processes."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from fedctr.folder import read_json, write_whole

FILE = "cost.json"
_LOOK_SECONDS = 2.0  # a look at Ray and its workers takes 50 ms, and halts those of them that ask for memory


@dataclass(frozen=True)
class Sitting:
    """One start of a run until it ended or was stopped; of one that was killed nothing is known.

    Attributes:
        begun: local time, ISO 8601.
        seconds: wall time.
        peak_bytes: the most memory that this process and all that it started had at once, looked at every other second
            and at the end. Where the system tells (Linux), a page that several share counts once; elsewhere shared
            pages are left out. Workers of a Ray cluster that was there before are not counted.
    """

    begun: str
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Cost:
    """What a run took, over all of its sittings.

    Attributes:
        sittings: at least one, in order.
    """

    sittings: tuple[Sitting, ...]

    @classmethod
    def of(cls, folder: Path) -> "Cost | None":
        """What ``cost.json`` of a run folder says; None if it cannot be read."""
        text = read_json(folder / FILE)
        try:
            return cls(tuple(Sitting(**sitting) for sitting in text["sittings"])) if text["sittings"] else None
        except (TypeError, KeyError):
            return None

    @property
    def seconds(self) -> float:
        """Wall time of all sittings together."""
        return sum(sitting.seconds for sitting in self.sittings)

    @property
    def peak_bytes(self) -> int:
        """The most memory of any sitting."""
        return max(sitting.peak_bytes for sitting in self.sittings)

    def __str__(self) -> str:
        spent = f"{self.seconds:.1f} s" if self.seconds < 120 else f"{self.seconds / 60:.1f} minutes"
        return f"{spent} and at most {self.peak_bytes / 1e9:.2f} GB of memory"


@contextmanager
def cost_kept(folder: Path) -> Iterator[None]:
    """Add a sitting to ``cost.json`` in a run folder, also where the work is stopped or fails.

    Raises:
        FedctrError: when the file cannot be written.
    """
    before = Cost.of(folder)
    begun, start = datetime.now().astimezone().isoformat(timespec="seconds"), time.monotonic()
    memory = _Memory()
    memory.start()
    try:
        yield
    finally:
        memory.over.set()
        memory.join()
        sitting = Sitting(begun, round(time.monotonic() - start, 1), memory.peak)
        text: dict[str, Any] = asdict(Cost((*(before.sittings if before else ()), sitting)))
        write_whole(folder / FILE, lambda file: file.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8"))


class _Memory(threading.Thread):
    """Looks at this process and its descendants until told that it is over."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.over = threading.Event()

    def run(self) -> None:
        root = psutil.Process()
        last = False
        while not last:
            last = self.over.wait(_LOOK_SECONDS)
            self.peak = max(self.peak, sum(map(_own_bytes, [root, *root.children(recursive=True)])))


def _own_bytes(process: psutil.Process) -> int:
    """Proportional set size of a process, or where the system has none its unique one; 0 once it is gone."""
    try:
        found = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(found, "pss", found.uss))
