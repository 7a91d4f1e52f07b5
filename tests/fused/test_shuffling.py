"""The kernel's random orders against NumPy's."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fedctr.fused.layout import Layout, Most
from fedctr.fused.recording import record
from fedctr.fused.shuffling import shuffle
from fedctr.fused.state import Bench
from fedctr.randomness import permutations, stream
from tests.engine import publish, world

MOST = 3000


def place_of_work() -> Bench:
    schema = world([3, 2]).schema
    model = publish("lr", schema).model
    recording = record(model)
    assert recording is not None
    return Layout.of(model, schema, recording, Most(32, 1, MOST, 1)).bench()


BENCH = place_of_work()


@given(seed=st.integers(0, 2**40), user=st.integers(0, 2**40), count=st.integers(0, 40) | st.integers(0, MOST))
@settings(max_examples=60)
def test_an_order_is_that_of_permutations(seed: int, user: int, count: int) -> None:
    (expected,) = permutations(seed, "shuffle 1", np.array([user]), np.full((1, count), True))
    shuffle(stream(seed, "shuffle 1")[0], user, count, BENCH)
    np.testing.assert_array_equal(BENCH.order[:count], expected)
