import numpy as np
import pandas as pd

from fedctr.data.split import DAY
from fedctr.online.log import for_cloud, for_devices, logged
from fedctr.online.synthetic import without_samples
from tests.engine import world

POPULATION = without_samples(world([1, 1, 1], items=9))


def day(number: int, *rows: tuple[int, int, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user", "item", "click"]).assign(day=number)


LOG = [day(-1, (2, 5, True), (0, 3, False), (0, 1, True)), day(0, (0, 8, True))]


def test_what_was_shown_becomes_samples_in_the_order_of_days() -> None:
    log = logged(POPULATION, LOG)
    assert log.offsets.tolist() == [0, 3, 3, 4]
    assert log.item.tolist() == [1, 3, 8, 5]
    assert log.label.tolist() == [1, 0, 1, 1]
    assert log.time.tolist() == [-DAY, -DAY, 0, -DAY]
    assert logged(POPULATION, []).samples == 0


def test_the_cloud_trains_on_all_days_but_the_last() -> None:
    parts = for_cloud(logged(POPULATION, [*LOG, day(1, (0, 2, True), (0, 3, False), (1, 3, True))]))
    sizes = [(np.subtract(*parts.bounds(part)[::-1])).tolist() for part in ("train", "validation", "test")]
    assert sizes == [[3, 0, 1], [2, 1, 0], [0, 0, 0]]


def test_a_device_holds_its_own_log_and_the_candidates() -> None:
    users, items = np.array([0, 1]), np.array([[2, 8], [4, 7]])
    features = for_devices(logged(POPULATION, LOG), 1, users, items, range(2), history_length=3)
    (first, end), (begin, stop) = features.split.bounds("train"), features.split.bounds("test")
    dataset = features.dataset
    assert [dataset.item[a:b].tolist() for a, b in zip(first, end, strict=True)] == [[1, 3, 8], [], []]
    assert [dataset.label[a:b].tolist() for a, b in zip(first, end, strict=True)] == [[1, 0, 1], [], []]
    assert [dataset.item[a:b].tolist() for a, b in zip(begin, stop, strict=True)] == [[2, 8], [4, 7], []]
    # The history of a candidate are all clicks before the day, the latest first.
    rows = features.histories.of(np.array([begin[0]]))[0]
    assert dataset.item[rows[rows >= 0]].tolist() == [8, 1]
