"""Strategies of a stranger, good and bad, as a module in the user's folder; and signals that reach a running bench."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.application import FEDCTR

# The user with the raw id 20 is row 19 of the 50 users: partition 0 of 2, and partition 3 of 8.
SOURCE = '''
"""A stranger's strategies."""
import os
from dataclasses import dataclass

import torch

from fedctr import ClientStrategy

print("chatter while it is imported")


@dataclass(frozen=True)
class Mine(ClientStrategy):
    """Half the loss, so half the step."""

    name = "mine"

    def loss(self, logits, targets, local, published):
        return super().loss(logits, targets, local, published) / 2


class Picky(ClientStrategy):
    """Fails at users with SAMPLES local samples."""

    def targets(self, local, published):
        print("chatter")
        found = (local.samples == SAMPLES).any()
        return self.fail(local) if found else local.labels


@dataclass(frozen=True)
class Raises(Picky):
    name = "raises"

    def fail(self, local):
        raise RuntimeError("first line\\nsecond line")


@dataclass(frozen=True)
class Exits(Picky):
    name = "exits"

    def fail(self, local):
        raise SystemExit(0)


@dataclass(frozen=True)
class NaN(Picky):
    name = "nan"

    def fail(self, local):
        return torch.full_like(local.labels, float("nan"))


@dataclass(frozen=True)
class Shape(Picky):
    name = "shape"

    def fail(self, local):
        return local.labels[:, :1]


@dataclass(frozen=True)
class Slow(ClientStrategy):
    """Takes its time until it has once said that it has begun."""

    name = "slow"

    def targets(self, local, published):
        import time
        from pathlib import Path

        begun = Path(__file__).parent / "begun"
        if not begun.exists():
            time.sleep(1)  # whatever else had been asked for before is done by now
            begun.touch()
            time.sleep(2)
        return local.labels
'''


def write_module(folder: Path, samples: int) -> None:
    """Put ``my_module.py`` into a folder; its picky strategies fail at users with so many local samples."""
    (folder / "my_module.py").write_text(SOURCE.replace("SAMPLES", str(samples)))


def interrupt(folder: Path, arguments: Sequence[str], began: Path, *, times: int = 1) -> tuple[int, str, str, float]:
    """Start ``fedctr ARGUMENTS``, send Ctrl-C once a file is there; exit code, stdout, stderr, seconds it then took."""
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        process = subprocess.Popen([FEDCTR, *arguments], cwd=folder, stdout=out, stderr=err, start_new_session=True)
        try:
            deadline = time.monotonic() + 400
            while not began.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            start = time.monotonic()
            for _ in range(times):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all processes at once
                time.sleep(0.3)
            code = process.wait(timeout=60)
            seconds = time.monotonic() - start
        finally:
            if process.poll() is None:
                process.kill()
    return code, (folder / "stdout").read_text(), (folder / "stderr").read_text(), seconds


def alive(folder: Path) -> list[str]:
    """Command lines of other processes whose current folder is in a folder, and that do not end in a moment."""
    deadline = time.monotonic() + 5
    while (found := _alive(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _alive(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if (
                process.name.isdigit()
                and int(process.name) != os.getpid()
                and (process / "cwd").readlink().is_relative_to(folder)
            ):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended, or is none of ours
            continue
    return found


def kill(folder: Path, arguments: Sequence[str], began: Path) -> str:
    """Start ``fedctr ARGUMENTS``, kill it as a power cut would once a file is there; stderr up to then."""
    with (folder / "stderr").open("w") as err:
        process = subprocess.Popen(
            [FEDCTR, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=err, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 400
            while not began.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)
    return (folder / "stderr").read_text()
