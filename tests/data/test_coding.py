import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.coding import codes, flag_codes, list_codes, quantile_codes, whole_codes


def test_codes_follow_the_sorted_values_and_missing_is_zero() -> None:
    positions, names = codes(pa.array(["writer", "", "artist", None, "writer"]))
    assert positions.tolist() == [2, 0, 1, 0, 2]
    assert names == ["artist", "writer"]


def test_a_column_of_missing_values() -> None:
    positions, names = codes(pa.array([None, None], pa.string()))
    assert (positions.tolist(), names) == ([0, 0], [])


@given(st.lists(st.text(min_size=1, max_size=3)))
def test_codes_do_not_depend_on_the_order_of_rows(values: list[str]) -> None:
    forward, backward = codes(pa.array(values, pa.string())), codes(pa.array(values[::-1], pa.string()))
    assert forward[0].tolist() == backward[0].tolist()[::-1]
    assert forward[1] == backward[1] == sorted(set(values))


def test_flags_become_ascending_codes_padded_with_zero() -> None:
    flags = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 1]], dtype=bool)
    padded, names = flag_codes(["War", "Western", "Action"], flags)
    assert names == ["Action", "War"]  # no row has Western
    assert padded.tolist() == [[1, 2], [0, 0], [1, 0]]


def test_without_any_flag_one_column_of_zeros_remains() -> None:
    padded, names = flag_codes(["War"], np.zeros((2, 1), dtype=bool))
    assert (padded.tolist(), names) == ([[0], [0]], [])


def test_codes_of_whole_numbers_follow_their_order() -> None:
    found, cardinality = whole_codes(np.array([7, -1, 0, 7]), -1)
    assert (found.tolist(), cardinality) == ([2, 0, 1, 2], 3)


def test_a_column_of_missing_numbers() -> None:
    assert [whole_codes(np.array([-1, -1]), -1)[0].tolist(), whole_codes(np.array([-1, -1]), -1)[1]] == [[0, 0], 1]
    assert [quantile_codes(np.array([np.nan]), 4)[0].tolist(), quantile_codes(np.array([np.nan]), 4)[1]] == [[0], 1]


def test_numbers_fall_into_buckets_of_as_many_values() -> None:
    found, cardinality = quantile_codes(np.array([40.0, 10, np.nan, 30, 20]), 2)
    assert (found.tolist(), cardinality) == ([2, 1, 0, 2, 1], 3)


def test_equal_numbers_share_a_bucket() -> None:
    found, cardinality = quantile_codes(np.array([1.0, 1, 1, 1, 5]), 4)
    assert (found.tolist(), cardinality) == ([1, 1, 1, 1, 2], 3)


@given(st.lists(st.floats(-1e30, 1e30) | st.just(np.nan)), st.integers(2, 12))
def test_buckets_ascend_and_none_is_empty(values: list[float], buckets: int) -> None:
    found, cardinality = quantile_codes(np.array(values, np.float64), buckets)
    known = sorted((value, code) for value, code in zip(values, found.tolist(), strict=True) if value == value)
    assert [code for _, code in known] == sorted(code for _, code in known)
    assert {code for _, code in known} == set(range(1, cardinality))
    assert cardinality <= buckets + 1
    assert all((code == 0) == (value != value) for value, code in zip(values, found, strict=True))


def test_listed_values_are_coded_in_sorted_order_each_once() -> None:
    found, cardinality = list_codes(pa.array(["war| comedy", "", "war|war", "|drama|"]), "|")
    assert found.tolist() == [[1, 3], [0, 0], [3, 0], [2, 0]]
    assert cardinality == 4


def test_without_any_listed_value_one_column_of_zeros_remains() -> None:
    found, cardinality = list_codes(pa.array(["", ""]), "|")
    assert (found.tolist(), cardinality) == ([[0], [0]], 1)
