import json
import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from fedctr.cost import Cost, cost_kept

MEGABYTE = 1 << 20


def test_wall_time_and_memory_are_kept(tmp_path: Path) -> None:
    with cost_kept(tmp_path):
        held = bytearray(200 * MEGABYTE)
        held[::4096] = b"x" * len(held[::4096])  # a page that is not touched takes no memory
        time.sleep(0.7)
    del held
    cost = Cost.of(tmp_path)
    assert cost is not None
    assert 0.7 <= cost.seconds < 60
    assert cost.peak_bytes > 200 * MEGABYTE


def test_memory_of_processes_that_are_started_counts(tmp_path: Path) -> None:
    with cost_kept(tmp_path / "without"):
        pass
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    child = context.Process(target=_hold, args=(begun,))
    with cost_kept(tmp_path / "with"):
        child.start()
        assert begun.wait(60)
    child.kill()
    child.join()
    without, with_child = (Cost.of(tmp_path / name) for name in ("without", "with"))
    assert without is not None
    assert with_child is not None
    assert with_child.peak_bytes - without.peak_bytes > 150 * MEGABYTE


def _hold(begun: threading.Event) -> None:
    held = bytearray(200 * MEGABYTE)
    held[::4096] = b"x" * len(held[::4096])
    begun.set()
    time.sleep(60)


def test_a_run_that_was_stopped_and_goes_on_has_two_sittings(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), cost_kept(tmp_path):
        raise KeyboardInterrupt
    with cost_kept(tmp_path):
        pass
    cost = Cost.of(tmp_path)
    assert cost is not None
    assert len(cost.sittings) == 2
    assert cost.peak_bytes == max(sitting.peak_bytes for sitting in cost.sittings) > 0


@pytest.mark.parametrize("text", [None, "{", "[]", '{"sittings": []}', '{"sittings": [{"seconds": 1}]}'])
def test_what_cannot_be_read_is_not_known(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "cost.json").write_text(text)
    assert Cost.of(tmp_path) is None


def test_a_cost_is_said_in_seconds_or_minutes(tmp_path: Path) -> None:
    def said(seconds: float) -> str:
        sitting = {"begun": "2026-11-26T12:00:00+00:00", "seconds": seconds, "peak_bytes": 1_500_000_000}
        (tmp_path / "cost.json").write_text(json.dumps({"sittings": [sitting]}))
        return str(Cost.of(tmp_path))

    assert said(90) == "90.0 s and at most 1.50 GB of memory"
    assert said(150) == "2.5 minutes and at most 1.50 GB of memory"
