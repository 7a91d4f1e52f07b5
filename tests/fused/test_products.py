"""Products of small matrices against NumPy in double precision."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from fedctr.fused.layout import aligned_zeros
from fedctr.fused.products import add_product, write_product
from fedctr.fused.tiles import PADDED
from fedctr.fused.turning import turned

sizes = st.integers(1, 40)
Matrix = npt.NDArray[np.float32]


def within(matrix: Matrix) -> tuple[Matrix, int]:
    """A matrix in a larger array, from its eighth element on, and how far it is there from row to row."""
    rows, columns = matrix.shape
    step = -(-columns // PADDED) * PADDED + PADDED
    room = np.full((-(-rows // PADDED) * PADDED, step), np.float32(np.nan))
    room[:rows, :columns] = matrix
    return np.concatenate([np.zeros(8, dtype=np.float32), room.ravel()]), step


def taken(array: Matrix, step: int, rows: int, columns: int) -> Matrix:
    return array[8:].reshape(-1, step)[:rows, :columns]


def product(left: Matrix, right: Matrix, total: Matrix, scale: float, *, sideways: bool = False) -> Matrix:
    (rows, inner), columns = left.shape, right.shape[1]
    a, a_step = within(np.ascontiguousarray(left.T) if sideways else left)
    b, b_step = within(right)
    c, c_step = within(total)
    steps = (1, a_step) if sideways else (a_step, 1)
    add_product(c, 8, c_step, a, 8, *steps, b, 8, b_step, rows, columns, inner, np.float32(scale))
    return taken(c, c_step, rows, columns)


@given(rows=sizes, inner=sizes, columns=sizes, seed=st.integers(0, 99))
@settings(max_examples=50)
def test_a_product_is_added(rows: int, inner: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right, total = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((rows, inner), (inner, columns), (rows, columns))
    )
    expected = total.astype(np.float64) - 0.5 * left.astype(np.float64) @ right
    found = product(left, right, total, -0.5)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(product(left, right, total, -0.5, sideways=True), found)


@given(rows=sizes, inner=sizes, columns=sizes, least=st.sampled_from([0, -np.inf]), same=st.booleans())
@settings(max_examples=50)
def test_a_product_is_written(rows: int, inner: int, columns: int, least: float, same: bool) -> None:
    rng = np.random.default_rng(rows)
    left, right, begins = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((rows, inner), (inner, columns), (40,))
    )
    (a, a_step), (b, b_step), (c, c_step) = map(within, (left, right, np.full((rows, columns), np.float32(np.nan))))
    write_product(
        c, 8, c_step, a, 8, a_step, 1, b, 8, b_step, rows, columns, inner, begins, 0, int(not same), np.float32(least)
    )
    added = begins[:1] if same else begins[:rows]
    expected = np.maximum(added[:, None] + left.astype(np.float64) @ right, least)
    np.testing.assert_allclose(taken(c, c_step, rows, columns), expected, rtol=0, atol=1e-5)


def test_what_is_no_number_stays_so_under_a_relu() -> None:
    one = np.full(PADDED, np.float32(np.nan))
    found = np.zeros(PADDED, dtype=np.float32)
    write_product(found, 0, 1, one, 0, 1, 1, one, 0, 1, 1, 1, 1, one, 0, 0, np.float32(0))
    assert np.isnan(found[0])


@given(rows=sizes, inner=sizes, columns=sizes)
@settings(max_examples=50)
def test_an_element_has_the_same_bits_in_a_product_of_any_size(rows: int, inner: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    left, right = (
        rng.standard_normal((40, inner)).astype(np.float32),
        rng.standard_normal((inner, 40)).astype(np.float32),
    )
    whole = product(left, right, np.zeros((40, 40), dtype=np.float32), 1)
    part = product(left[:rows], right[:, :columns], np.zeros((rows, columns), dtype=np.float32), 1)
    np.testing.assert_array_equal(part, whole[:rows, :columns])


@given(rows=sizes, columns=sizes)
@settings(max_examples=50)
def test_a_matrix_is_turned_or_added_turned(rows: int, columns: int) -> None:
    source = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    of, of_step = within(source)
    for adding in (False, True):
        to, to_step = within(np.ones((columns, rows), dtype=np.float32))
        turned(to, 8, to_step, of, 8, of_step, rows, columns, adding)
        np.testing.assert_array_equal(taken(to, to_step, columns, rows), source.T + np.float32(adding))


def test_aligned_zeros_begin_at_multiples_of_64_bytes() -> None:
    for columns in (1, 16, 17, 100):
        found = aligned_zeros(3, columns)
        assert found.shape[1] >= columns
        assert all(row.ctypes.data % 64 == 0 for row in found)
        assert not found.any()
