import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.coding import codes, flag_codes


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
