from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedctr.data.dataset import FILES, Dataset, Field, Schema, slices
from fedctr.errors import FedctrError


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    counts = draw(st.lists(st.integers(0, 6), min_size=1, max_size=5))
    users, items, samples = len(counts), draw(st.integers(1, 5)), sum(counts)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return Dataset(
        name="drawn",
        schema=Schema(
            (Field("user", users + 1), Field("age", 8)),
            (Field("item", items + 1), Field("tags", 5, values=3)),
        ),
        user_ids=pa.array([f"user {u} é" for u in range(users)]),
        item_ids=pa.array([str(i) for i in range(items)]),
        user_codes=rng.integers(0, 8, (users, 2), np.int32),
        item_codes=rng.integers(0, 5, (items, 4), np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item=rng.integers(0, items, samples, np.int32),
        label=rng.integers(0, 2, samples, np.uint8),
        time=rng.integers(0, 1 << 40, samples, np.int64),
    )


@pytest.fixture
def small() -> Dataset:
    return Dataset(
        name="small",
        schema=Schema((Field("user", 3),), (Field("item", 3), Field("genres", 4, values=2))),
        user_ids=pa.array(["a", "b"]),
        item_ids=pa.array(["x", "y"]),
        user_codes=np.array([[1], [2]], np.int32),
        item_codes=np.array([[1, 3, 0], [2, 1, 2]], np.int32),
        offsets=np.array([0, 2, 3]),
        item=np.array([0, 1, 0], np.int32),
        label=np.array([1, 0, 0], np.uint8),
        time=np.array([10, 20, 10]),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(dataset=datasets())
def test_what_is_saved_is_opened_bit_for_bit(tmp_path: Path, dataset: Dataset) -> None:
    dataset.save(tmp_path)
    opened = Dataset.open(tmp_path)
    assert (opened.name, opened.schema, opened.folder) == ("drawn", dataset.schema, tmp_path)
    for name in ("user_codes", "item_codes", "offsets", "item", "label", "time"):
        before, after = getattr(dataset, name), getattr(opened, name)
        assert before.dtype == after.dtype
        assert np.array_equal(before, after)
    assert opened.user_ids.equals(dataset.user_ids)
    assert opened.item_ids.equals(dataset.item_ids)
    assert opened.content_hash == dataset.content_hash == replace(opened).content_hash


@given(
    samples=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([0, 1, 7, 10**11, 1 << 62])), max_size=30
    ),
    far=st.booleans(),
)
def test_samples_in_any_order_are_sorted_by_user_and_time_and_item(
    samples: list[tuple[int, int, int]], far: bool
) -> None:
    rows = [(user, item, time if far else time % 97) for user, item, time in samples]
    user, item, time = (np.array([row[side] for row in rows], np.int64) for side in range(3))
    label = np.arange(len(rows)) % 2
    nobody = np.zeros((4, 1), np.int32)
    arranged = Dataset.arranged(
        "any", Schema((Field("user", 5),), (Field("item", 5),)), (pa.array([]), pa.array([])), (nobody, nobody),
        (user.astype(np.int32), item.astype(np.int32), label, time),
    )  # fmt: skip
    # Python's sort leaves what is equal in its order, and so must this.
    expected = sorted(
        zip(*zip(*rows, strict=True), label.tolist(), strict=True) if rows else [], key=_by_user_time_item
    )
    assert arranged.offsets.tolist() == [sum(row[0] < user for row in expected) for user in range(5)]
    found = zip(arranged.item.tolist(), arranged.time.tolist(), arranged.label.tolist(), strict=True)
    assert list(found) == [row[1:] for row in expected]


def _by_user_time_item(row: tuple[int, ...]) -> tuple[int, int, int]:
    return row[0], row[2], row[1]


def test_an_opened_data_set_is_mapped_not_copied(small: Dataset, tmp_path: Path) -> None:
    small.save(tmp_path)
    before = pa.total_allocated_bytes()
    opened = Dataset.open(tmp_path)
    assert pa.total_allocated_bytes() == before
    with pytest.raises(ValueError, match="read-only"):
        opened.label[0] = 0


def test_sizes(small: Dataset) -> None:
    assert (small.users, small.items, small.samples) == (2, 2, 3)
    assert (small.schema.users, small.schema.items) == (2, 2)
    assert small.folder is None


def test_slices_give_each_field_its_columns(small: Dataset) -> None:
    assert [(field.name, part) for field, part in slices(small.schema.item_fields)] == [
        ("item", slice(0, 1)),
        ("genres", slice(1, 3)),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"label": np.array([1, 1, 0], np.uint8)},
        {"time": np.array([10, 21, 10])},
        {"offsets": np.array([0, 1, 3])},
        {"user_ids": pa.array(["a", "c"])},
        {"schema": Schema((Field("user", 3),), (Field("item", 3), Field("genres", 5, values=2)))},
    ],
)
def test_the_hash_changes_with_any_content(small: Dataset, change: dict[str, object]) -> None:
    assert replace(small, **change).content_hash != small.content_hash  # type: ignore[arg-type]


def test_the_hash_does_not_depend_on_the_name(small: Dataset) -> None:
    assert replace(small, name="other").content_hash == small.content_hash


def test_check_accepts_both_classes(small: Dataset) -> None:
    small.check()


@pytest.mark.parametrize("label", [0, 1])
def test_check_refuses_one_class(small: Dataset, label: int) -> None:
    with pytest.raises(FedctrError, match=f"data set small: all 3 labels are {label}; a click-through rate needs"):
        replace(small, label=np.full(3, label, np.uint8)).check()


def test_check_refuses_an_empty_data_set(small: Dataset) -> None:
    empty = replace(small, item=small.item[:0], label=small.label[:0], time=small.time[:0])
    with pytest.raises(FedctrError, match="data set small: it holds no sample; 7 malformed rows were left out"):
        replace(empty, bad_rows=7).check()
    with pytest.raises(FedctrError, match=r"data set small: it holds no sample$"):
        empty.check()


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(small: Dataset, tmp_path: Path, file: str) -> None:
    small.save(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(FedctrError, match=f"{file}: not found; delete the folder to have it built again"):
        Dataset.open(tmp_path)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("left", [0, 40])
def test_a_truncated_file_is_refused(small: Dataset, tmp_path: Path, file: str, left: int) -> None:
    small.save(tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:left])
    with pytest.raises(FedctrError, match=r"damaged .*; delete the folder to have it built again"):
        Dataset.open(tmp_path)
