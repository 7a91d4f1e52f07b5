"""Fixtures that every test may use."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from fedctr.benchmark import bench
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.fused.compiled import FOLDER
from fedctr.summary import Result
from fedctr.threads import single_thread
from tests.application import call_main, experiment

# A shell starts what runs in its background with Ctrl-C ignored, and so would be what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Whatever cache folder a test chooses, what it starts need not compile the engine again.
os.environ["NUMBA_CACHE_DIR"] = str(FOLDER.parent)

# A busy machine must not fail a test that is right.
settings.register_profile("fedctr", deadline=None)
settings.load_profile("fedctr")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: some wait, for processes that their tests start or for the kernel to be compiled."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def read_as_written() -> Iterator[None]:
    """A module that a test writes twice in a second is read twice: Python would take it for what it has compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        yield


@pytest.fixture(scope="session")
def movielens_100k() -> Dataset:
    """The real data, fetched once through the code that users run."""
    return open_dataset("movielens-100k")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for the small experiments of this session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def small_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what a test generates and trains out of the user's own cache."""
    monkeypatch.setenv("FEDCTR_CACHE", str(shared_cache))


@pytest.fixture(scope="session")
def reference(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The small experiment, run once, inline."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDCTR_CACHE", str(shared_cache))
        return bench(experiment(tmp_path_factory.mktemp("runs") / "reference"))


@pytest.fixture
def cohort_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are those of the cohort engine; the compiled one has tests of its own in ``fused``."""
    monkeypatch.setattr("fedctr.engines.takes", lambda *task: False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch computes as it does at every client."""
    with single_thread():
        yield


@pytest.fixture
def fedctr(
    small_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs ``fedctr ARGUMENTS`` in ``tmp_path``, in this process; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            return call_main(monkeypatch, capsys, *arguments)
        finally:
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
                    del sys.modules[name]

    return call
