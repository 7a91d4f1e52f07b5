"""What stands around the kernel, counted in calls and bytes and not in seconds, so that it holds on every machine."""

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from fedctr.features import Features, Histories
from fedctr.fused import kernel, people
from fedctr.fused.engine import Fused
from fedctr.personalise import personalise
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy
from strategies.fine_tuning import FineTuning
from strategies.knn_per import KnnPer
from tests.engine import features_of, publish, task

pytestmark = pytest.mark.usefixtures("one_thread")

MODEL = "wide-deep[embedding=5,hidden=[13,7],history=5]"
TRAIN, TEST = 40, 20  # samples of each user: two steps, padded to 64 places and 32


def scene(users: int) -> tuple[Published, Features]:
    """So many users of one padded length, who are one group."""
    features = features_of([TRAIN] * users, [TEST] * users)
    return publish(MODEL, features.dataset.schema), features


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Counts calls of Python functions, by file and name."""
    found: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            found[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1

    before = sys.getprofile()
    gc.disable()  # it calls Python whenever it likes: others of the suite have asked to be told of it
    sys.setprofile(count)
    try:
        yield found
    finally:
        sys.setprofile(before)
        gc.enable()


def test_python_does_as_much_for_many_users_as_for_few() -> None:
    counted: list[Counter[str]] = []
    for users in (20, 200):
        published, features = scene(users)
        personalise(published, FineTuning(), features, task())  # what is done but once is done
        with calls() as found:
            personalise(published, FineTuning(), features, task())
        counted.append(found)
    assert counted[0] == counted[1]
    assert counted[0].total() < 2000  # a third above what was found


BOTH_PARTS = ["_collect", "fine_tune", "fine_tune"]


@pytest.mark.parametrize(
    ("strategy", "epochs", "expected"),
    [
        (FineTuning(), (1,), ["_collect", "fine_tune"]),
        (FineTuning(), (0, 1, 3), ["_collect", "fine_tune"]),
        # Where samples stand is found beside their logits, in a dry run as well; then that of the local ones.
        (KnnPer(), (1,), BOTH_PARTS + BOTH_PARTS),
    ],
)
def test_a_group_is_collected_by_one_call_and_computed_by_one(
    strategy: ClientStrategy, epochs: tuple[int, ...], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def counted(name: str, entry: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            called.append(name)
            entry(*arguments)

        return call

    for module, name in ((kernel, "fine_tune"), (kernel, "begin"), (kernel, "descend"), (people, "_collect")):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    published, features = scene(50)
    personalise(published, strategy, features, task(epochs=epochs))
    assert called == expected


def test_histories_are_not_laid_out_for_a_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    published, features = scene(20)
    monkeypatch.setattr(Histories, "build", lambda *all: pytest.fail("they were"))
    personalise(published, FineTuning(), features, task())
    assert "histories" not in vars(features)


class _Operations(TorchDispatchMode):
    """Names what PyTorch does."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_plain_fine_tuning_computes_nothing_in_pytorch() -> None:
    published, features = scene(8)
    group = Fused(published, features, "test", 32, "sgd").group(np.arange(8), 0)
    with _Operations() as operations:
        assert len(list(group.logits(FineTuning(), Recipe(0, 0.1, 2), [0, 2]))) == 2
    assert operations.names <= {"detach"}


def test_no_code_label_or_click_is_copied_for_a_user_beyond_what_strategies_see() -> None:
    users = 400
    published, features = scene(users)
    engine = Fused(published, features, "test", 32, "sgd")
    engine.group(np.arange(users), 0)
    tracemalloc.start()
    try:
        group = engine.group(np.arange(users), 0)
        for _ in group.logits(FineTuning(), Recipe(0, 0.1, 1), [1]):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of a training sample place, label and whether it is one; of a scored one the logit as well; of a user ten numbers.
    most = users * (64 * (4 + 4 + 1) + 32 * (4 + 1 + 1 + 4) + 10 * 8)
    assert peak < most + 50_000
