from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.partition import partition


def test_seven_users_on_three_clients() -> None:
    assert [partition(7, index, 3) for index in range(3)] == [range(0, 2), range(2, 4), range(4, 7)]


@given(users=st.integers(0, 10**7), count=st.integers(1, 200))
def test_every_user_is_held_once_and_sizes_differ_by_one_at_most(users: int, count: int) -> None:
    parts = [partition(users, index, count) for index in range(count)]
    edges = [0, *(part.stop for part in parts)]
    assert [part.start for part in parts] == edges[:-1]
    assert edges[-1] == users
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(users=st.integers(0, 100))
def test_as_many_clients_as_users_hold_one_each(users: int) -> None:
    assert [list(partition(users, index, users)) for index in range(users)] == [[user] for user in range(users)]
