"""Products of matrices of which each sample has its own, against NumPy in double precision."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedctr.fused.sample_products import Matrices, write_products
from fedctr.fused.tiles import PADDED

sizes = st.integers(1, 10)


def place(rows: int, columns: int, rng: np.random.Generator) -> tuple[Matrices, Any]:
    """Matrices in a larger array, and a view of them (rows, columns, samples)."""
    room = rng.standard_normal((rows, columns + 1, 2 * PADDED)).astype(np.float32)
    places = Matrices(room.ravel(), 2 * PADDED + 8, (columns + 1) * 2 * PADDED, 2 * PADDED)
    return places, room[:, 1:, 8 : 8 + PADDED]


def turned(matrices: Matrices) -> Matrices:
    return matrices._replace(row=matrices.column, column=matrices.row)


@given(rows=sizes, columns=sizes, inner=sizes, least=st.sampled_from([0, -np.inf]), sideways=st.booleans())
@settings(max_examples=50)
def test_every_sample_has_its_own_product(rows: int, columns: int, inner: int, least: float, sideways: bool) -> None:
    rng = np.random.default_rng(rows)
    (total, found), (begin, first) = place(rows, columns, rng), place(rows, columns, rng)
    left, a = place(rows, inner, rng)
    right, b = place(*((columns, inner) if sideways else (inner, columns)), rng)
    if sideways:
        right, b = turned(right), b.transpose(1, 0, 2)
    write_products(total, begin, left, right, rows, columns, inner, np.float32(least))
    expected = np.maximum(first + np.einsum("rks,kcs->rcs", a.astype(np.float64), b), least)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("least", [0, -np.inf])
def test_nothing_beside_the_product_is_written_and_nan_stays(least: float) -> None:
    rng = np.random.default_rng(0)
    (total, found), (left, a), (right, _) = (place(4, 5, rng), place(4, 3, rng), place(3, 5, rng))
    a[2, :, 7] = np.nan
    before = total.values.copy()
    write_products(
        total, Matrices(np.zeros(PADDED, dtype=np.float32), 0, 0, 0), left, right, 4, 5, 3, np.float32(least)
    )
    assert np.isnan(found[2, :, 7]).all()
    assert np.isnan(found).sum() == 5
    found[:] = 0
    kept = np.flatnonzero(total.values)
    assert len(kept) == total.values.size - found.size
    np.testing.assert_array_equal(total.values[kept], before[kept])
