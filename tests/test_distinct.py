import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedctr.distinct import Distinct

tables = st.tuples(st.integers(1, 5), st.integers(0, 7)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(0, 9) | st.just(2**31 - 2), min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    )
)


def test_by_hand() -> None:
    codes = np.array([[7, 3, 7, 0], [2, 2, 2, 2]])
    distinct = Distinct.of(codes)
    assert distinct.codes.tolist() == [[0, 3, 7], [0, 2, 0]]
    assert distinct.number(codes).tolist() == [[2, 1, 2, 0], [1, 1, 1, 1]]


@given(tables)
def test_a_users_distinct_codes_ascend_from_nothing(table: list[list[int]]) -> None:
    codes = np.array(table, dtype=np.int32).reshape(len(table), -1)
    distinct = Distinct.of(codes)
    expected = [sorted({0, *row}) for row in table]
    assert distinct.codes.shape == (len(table), max(map(len, expected)))
    for found, wanted in zip(distinct.codes.tolist(), expected, strict=True):
        assert found == wanted + [0] * (len(found) - len(wanted))


@given(tables)
def test_a_number_leads_back_to_its_code(table: list[list[int]]) -> None:
    codes = np.array(table, dtype=np.int32).reshape(len(table), -1, 1)  # any shape behind the users' axis
    distinct = Distinct.of(codes[..., 0])
    numbers = distinct.number(codes)
    assert numbers.shape == codes.shape
    users = np.arange(len(codes))[:, None, None]
    np.testing.assert_array_equal(distinct.codes[users, numbers], codes)
    assert ((numbers == 0) == (codes == 0)).all()
