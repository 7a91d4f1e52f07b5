import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedctr.models.batch import Bag, Batch, below, shares

ROWS = torch.tensor([[[1], [0], [2]], [[2], [2], [1]]])


def test_a_batch_is_made_by_those_who_know_where_samples_are_from() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Batch()  # type: ignore[abstract]


def test_the_rows_of_shared_tables_are_as_they_are_and_those_of_stacked_ones_count_on() -> None:
    bag = Bag(ROWS, None)
    assert bag.below(0).tolist() == [[1, 0, 2], [2, 2, 1]]
    assert bag.below(3).tolist() == [[1, 0, 2], [5, 5, 4]]
    assert bag.below(10).tolist() == [[1, 0, 2], [12, 12, 11]]


def test_several_values_keep_their_axis() -> None:
    bag = Bag(torch.tensor([[[1, 0]], [[2, 2]]]), None)
    assert bag.below(0).tolist() == [[[1, 0]], [[2, 2]]]
    assert bag.below(4).tolist() == [[[1, 0]], [[6, 6]]]


def test_rows_are_counted_once_for_every_number_of_rows() -> None:
    bag = Bag(ROWS, None)
    assert bag.below(7) is bag.below(7)
    assert bag.below(7) is not bag.below(8)


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 4), (3, 0)])
def test_below_adds_the_rows_of_all_users_before(shape: tuple[int, ...]) -> None:
    rows = torch.randint(5, shape)
    found = below(rows, 5)
    for user in range(3):
        assert torch.equal(found[user], rows[user] + 5 * user)


def test_a_bag_as_a_matrix_by_hand() -> None:
    weights = torch.tensor([[[0.5, 0.5, 0.0], [1.0, 2.0, 4.0]]])
    rows = torch.tensor([[[1, 3, 2], [2, 0, 2]]])
    assert Bag(rows, weights).matrix(4).tolist() == [[[0, 0.5, 0, 0.5], [2, 0, 5, 0]]]
    assert Bag(rows, None).matrix(5).tolist() == [[[0, 1, 1, 1, 0], [1, 0, 2, 0, 0]]]


def test_a_matrix_is_as_exact_as_the_weights() -> None:
    assert Bag(ROWS, None).matrix(3).dtype == torch.float32
    assert Bag(ROWS, torch.ones(ROWS.shape, dtype=torch.float64)).matrix(3).dtype == torch.float64


@pytest.mark.parametrize("weighted", [True, False])
def test_taking_places_takes_their_rows_and_weights(weighted: bool) -> None:
    weights = torch.arange(6.0).view(2, 3, 1) if weighted else None
    taken = Bag(ROWS, weights).take(lambda values: values[:, [2, 0]])
    assert taken.rows.tolist() == [[[2], [1]], [[1], [2]]]
    if weighted:
        assert taken.weights is not None
        assert taken.weights.tolist() == [[[2], [0]], [[5], [3]]]
    else:
        assert taken.weights is None
    assert taken.below(3).tolist() == [[2, 1], [4, 5]]


def test_shares_by_hand() -> None:
    found = shares(np.array([[True, False, True], [False, False, False], [True, True, True]]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([[0.5, 0, 0.5], [0, 0, 0], [1 / 3] * 3], dtype=np.float32))


@given(st.lists(st.booleans(), max_size=30))
def test_shares_are_equal_and_add_up_to_one_unless_nothing_is_present(present: list[bool]) -> None:
    found = shares(np.array(present, dtype=bool))
    assert found.shape == (len(present),)
    assert not found[~np.array(present, dtype=bool)].any()
    assert len(set(found[np.array(present, dtype=bool)].tolist())) <= 1
    assert found.sum() == pytest.approx(float(any(present)))
