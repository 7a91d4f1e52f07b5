from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.dataset import Dataset
from fedctr.data.split import Fractions, Split, split
from fedctr.data.synthetic import Synthetic
from fedctr.features import Features, Histories
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
    dataset = Synthetic(users=30, items=50).read(None)
    parts = split(dataset, Fractions(window=window))  # type: ignore[arg-type]
    held_out = np.ones(dataset.samples, dtype=bool)
    for start, stop in zip(parts.start, parts.train_end, strict=True):
        held_out[start:stop] = False
    other = replace(dataset, label=np.where(held_out, 1 - dataset.label, dataset.label).astype(np.uint8))
    rows = np.arange(dataset.samples)[None]
    owner = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))[None]
    before, after = (Features.build(d, parts, range(30), 20).batch(rows, owner) for d in (dataset, other))
    for name in ("user", "items", "item", "history"):
        assert (getattr(before, name) == getattr(after, name)).all(), name
    assert (before.history > 0).any()


def test_a_batch_describes_user_item_and_history() -> None:
    dataset = world([9, 12], seed=3)
    features = Features.build(dataset, cut(dataset, [6, 8]), range(2), 4)
    rows = np.array([[0, 5, 8], [9, 14, 20]])
    batch = features.batch(rows, np.array([[0], [1]]))
    for user in range(2):
        items, described = batch.items[user].numpy(), dataset.described
        assert batch.user[user].tolist() == dataset.user_codes[[user]].tolist()
        assert items[0].tolist() == [0] * described.shape[1]
        np.testing.assert_array_equal(items[batch.item[user]], dataset.item_codes[dataset.item[rows[user]]])
        past = features.histories.of(rows[user])
        codes = np.where(past >= 0, dataset.item[past] + 1, 0)
        np.testing.assert_array_equal(items[batch.clicks[user]][batch.history[user]], described[codes])
        assert ((batch.history[user].numpy() == 0) == (codes == 0)).all()


def test_a_batch_may_hold_samples_of_different_users() -> None:
    dataset = world([9, 12], seed=3)
    features = Features.build(dataset, cut(dataset, [6, 8]), range(2), 4)
    batch = features.batch(np.array([[8, 20]]), np.array([[0, 1]]))
    np.testing.assert_array_equal(batch.user[0].numpy(), dataset.user_codes)
