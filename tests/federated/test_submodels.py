"""Means over all users and over holders, by hand."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedctr.federated.submodels import mean_change


def test_by_hand() -> None:
    """Four users; two of them hold the first row, one the second, nobody the third."""
    total = np.array([[6.0, -2.0], [0.5, 0.25], [0.0, 0.0]])
    np.testing.assert_array_equal(mean_change(total, 4), [[1.5, -0.5], [0.125, 0.0625], [0.0, 0.0]])
    np.testing.assert_array_equal(mean_change(total, 4, np.array([2, 1, 0])), [[3.0, -1.0], [0.5, 0.25], [0.0, 0.0]])


@given(arrays(np.float64, (5, 6, 3), elements=st.integers(-9, 9).map(float)))
def test_a_row_gets_what_fedavg_gives_to_its_holders_alone(changes: npt.NDArray[np.float64]) -> None:
    holds: npt.NDArray[np.bool_] = np.asarray(changes.any(2))
    found = mean_change(changes.sum(0), len(changes), holds.sum(0))
    for row in range(6):
        holding = changes[holds[:, row], row]
        expected = mean_change(holding.sum(0), len(holding)) if len(holding) else np.zeros(3)
        np.testing.assert_array_equal(found[row], expected)


def test_a_row_that_everybody_holds_moves_as_under_fedavg() -> None:
    total = np.array([[3.0], [-1.0]])
    np.testing.assert_array_equal(mean_change(total, 7, np.array([7, 7])), mean_change(total, 7))
