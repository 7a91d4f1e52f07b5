from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.split import Fractions, Split, split
from fedctr.data.synthetic import Synthetic
from fedctr.features import Features, Histories, PlainBatch
from fedctr.models.batch import Bag, Coded
from tests.engine import cut, world

# Of one user: (time, item, label) of every sample, and how many of them are for training.
one_user = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 1)), max_size=9).flatmap(
    lambda samples: st.tuples(st.just(sorted(samples)), st.integers(0, len(samples)))
)
some_users = st.lists(one_user, min_size=1, max_size=4)
User = tuple[list[tuple[int, int, int]], int]


def dataset_of(users: list[User]) -> tuple[Dataset, Split]:
    samples = [sample for user, _ in users for sample in user]
    time, item, label = np.array(samples, dtype=np.int64).reshape(-1, 3).T
    dataset = replace(
        world([len(user) for user, _ in users], items=6),
        item=item.astype(np.int32),
        label=label.astype(np.uint8),
        time=time,
    )
    return dataset, cut(dataset, [train for _, train in users])


def expected_history(user: User, place: int, length: int) -> list[int]:
    """The history of a user's sample, as one would say it."""
    samples, train = user
    now = samples[place][0]
    clicks = [item + 1 for time, item, label in samples[:train] if label and time < now]
    latest = clicks[::-1][:length]
    return latest + [0] * (length - len(latest))


def histories(dataset: Dataset, parts: Split, users: range, length: int) -> list[list[int]]:
    """Item codes of the histories of all samples of a range of users."""
    rows = np.arange(dataset.offsets[users.start], dataset.offsets[users.stop])
    past = Histories.build(dataset, parts, users, length).of(rows)
    found: list[list[int]] = np.where(past >= 0, dataset.item[past] + 1, 0).tolist()
    return found


def test_by_hand() -> None:
    user = [(1, 0, 1), (2, 1, 1), (2, 2, 0), (2, 3, 1), (3, 4, 1), (3, 5, 0), (4, 0, 1), (5, 1, 1)]
    dataset, parts = dataset_of([(user, 6)])
    assert histories(dataset, parts, range(1), 3) == [
        [0, 0, 0],
        [1, 0, 0],  # the three samples at time 2 know nothing of each other
        [1, 0, 0],
        [1, 0, 0],
        [4, 2, 1],  # latest first
        [4, 2, 1],
        [5, 4, 2],  # validation and test go on from the end of the training part,
        [5, 4, 2],  # not from each other's labels
    ]


@given(users=some_users, length=st.integers(0, 4))
def test_a_history_is_the_latest_training_positives_strictly_before(users: list[User], length: int) -> None:
    dataset, parts = dataset_of(users)
    expected = [expected_history(user, place, length) for user in users for place in range(len(user[0]))]
    assert histories(dataset, parts, range(len(users)), length) == expected


@given(users=some_users, data=st.data())
def test_a_partition_sees_the_histories_that_all_see(users: list[User], data: st.DataObject) -> None:
    dataset, parts = dataset_of(users)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(users))] * 2)))
    whole = histories(dataset, parts, range(len(users)), 3)
    assert histories(dataset, parts, range(start, stop), 3) == whole[dataset.offsets[start] : dataset.offsets[stop]]


@given(users=some_users)
def test_no_label_outside_the_training_part_leaks_into_a_feature(users: list[User]) -> None:
    dataset, parts = dataset_of(users)
    flipped = dataset.label.copy()
    for start, stop in zip(parts.train_end, parts.stop, strict=True):
        flipped[start:stop] ^= 1
    other = replace(dataset, label=flipped)
    everybody = range(len(users))
    assert histories(other, parts, everybody, 3) == histories(dataset, parts, everybody, 3)


@pytest.mark.parametrize("window", ["later", "earlier"])
def test_no_held_out_label_changes_any_batch(window: str) -> None:
    dataset = Synthetic(users=30, items=50).read(None, Reading())
    parts = split(dataset, Fractions(window=window))  # type: ignore[arg-type]
    held_out = np.ones(dataset.samples, dtype=bool)
    for start, stop in zip(parts.start, parts.train_end, strict=True):
        held_out[start:stop] = False
    other = replace(dataset, label=np.where(held_out, 1 - dataset.label, dataset.label).astype(np.uint8))
    rows = np.arange(dataset.samples)[None]
    owner = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))[None]
    before, after = (Features(d, parts, range(30), 20).batch(rows, owner) for d in (dataset, other))
    assert torch.equal(before.history, after.history)
    assert (before.history > 0).any()
    for name in ("user", "item", "mean_click", "clicks"):
        assert_equal(getattr(before, name), getattr(after, name), name)


def assert_equal(first: Coded, second: Coded, what: str) -> None:
    assert list(first) == list(second)
    for name, bag in first.items():
        other = second[name]
        assert isinstance(bag, Bag)
        assert isinstance(other, Bag)
        assert torch.equal(bag.rows, other.rows), f"{what}: {name}"
        assert bag.weights is not None
        assert other.weights is not None
        assert torch.equal(bag.weights, other.weights), f"{what}: {name}"


def values(coded: Coded, name: str, *place: int) -> dict[int, float]:
    """The codes at a place of a field, and what each of them weighs in all."""
    bag, found = coded[name], dict[int, float]()
    assert isinstance(bag, Bag)
    weights = torch.ones(bag.rows.shape) if bag.weights is None else bag.weights
    for row, weight in zip(bag.rows[place].tolist(), weights[place].tolist(), strict=True):
        if weight:
            found[row] = found.get(row, 0.0) + weight
    return found


def mean_of(*codes: list[int]) -> object:
    """What each code weighs in the mean over what is described by lists of codes; 0 is a missing one."""
    found: dict[int, float] = {}
    for described in codes:
        present = [code for code in described if code]
        for code in present:
            found[code] = found.get(code, 0.0) + 1 / len(present) / len(codes)
    return pytest.approx(found)


COLUMNS = {"item": [0], "category": [1], "tags": [2, 3, 4]}


@pytest.fixture
def some() -> tuple[Dataset, Features]:
    dataset = world([9, 12], seed=3)
    return dataset, Features(dataset, cut(dataset, [6, 8]), range(2), 4)


def check_items(dataset: Dataset, rows: list[list[int]], coded: Coded) -> None:
    """Compare coded items, one for each row of the data set, with what the data set says."""
    assert list(coded) == list(COLUMNS)
    for user, own in enumerate(rows):
        for sample, row in enumerate(own):
            for name, columns in COLUMNS.items():
                described = dataset.item_codes[dataset.item[row], columns].tolist()
                assert values(coded, name, user, sample) == mean_of(described), name


def test_a_batch_describes_user_and_item(some: tuple[Dataset, Features]) -> None:
    dataset, features = some
    rows = [[0, 5, 8], [9, 14, 20]]
    batch = features.batch(np.array(rows), np.array([[0], [1]]))
    check_items(dataset, rows, batch.item)
    assert list(batch.user) == ["user", "group"]
    for user in range(2):
        for column, name in enumerate(batch.user):
            assert values(batch.user, name, user, 0) == mean_of([int(dataset.user_codes[user, column])])


def test_a_history_is_places_among_the_clicks_the_first_of_which_is_nothing(some: tuple[Dataset, Features]) -> None:
    dataset, features = some
    rows = np.array([[0, 5, 8], [9, 14, 20]])
    batch = features.batch(rows, np.array([[0], [1]]))
    past = features.histories.of(rows)
    assert batch.history.shape == past.shape
    assert (past >= 0).any()
    for user, sample, place in np.ndindex(*past.shape):
        where, row = int(batch.history[user, sample, place]), past[user, sample, place]
        assert (where == 0) == (row < 0)
        for name, columns in COLUMNS.items():
            described = dataset.item_codes[dataset.item[row], columns].tolist() if row >= 0 else []
            assert values(batch.clicks, name, user, where) == mean_of(described), name
    distinct = [len({dataset.item[row] for row in own.flatten() if row >= 0}) for own in past]
    assert max(distinct) < (past >= 0).sum(), "no click twice, so nothing was shown"
    assert {bag.rows.shape[1] for bag in batch.clicks.values() if isinstance(bag, Bag)} == {1 + max(distinct)}


def test_the_mean_click_is_the_mean_of_what_the_clicks_of_a_history_are_described_by(
    some: tuple[Dataset, Features],
) -> None:
    dataset, features = some
    rows = np.array([[0, 5, 8], [9, 14, 20]])
    batch = features.batch(rows, np.array([[0], [1]]))
    past = features.histories.of(rows)
    for user, sample in np.ndindex(*rows.shape):
        clicks = [row for row in past[user, sample] if row >= 0]
        for name, columns in COLUMNS.items():
            described = [dataset.item_codes[dataset.item[row], columns].tolist() for row in clicks]
            assert values(batch.mean_click, name, user, sample) == mean_of(*described), name
    assert not values(batch.mean_click, "item", 0, 0)  # nothing before the first sample


def test_a_batch_may_hold_samples_of_different_users(some: tuple[Dataset, Features]) -> None:
    dataset, features = some
    batch = features.batch(np.array([[8, 20]]), np.array([[0, 1]]))
    check_items(dataset, [[8, 20]], batch.item)
    for user in range(2):
        for column, name in enumerate(batch.user):
            assert values(batch.user, name, 0, user) == mean_of([int(dataset.user_codes[user, column])])


def test_what_is_not_asked_for_is_not_computed(some: tuple[Dataset, Features], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Histories, rows: object) -> None:
        raise AssertionError("histories were asked for")

    monkeypatch.setattr(Histories, "of", never)
    batch = some[1].batch(np.array([[8]]), np.array([[0]]))
    assert isinstance(batch, PlainBatch)
    assert batch.item
    assert batch.user
    for name in ("history", "clicks", "mean_click"):
        with pytest.raises(AssertionError, match="histories were asked for"):
            getattr(batch, name)
