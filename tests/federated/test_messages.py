import numpy as np
import pytest
from flwr.app import ConfigRecord

from fedctr.data.split import Fractions
from fedctr.federated.messages import (
    Contribution,
    RoundTask,
    Terms,
    pack_contribution,
    pack_round,
    unpack_contribution,
    unpack_round,
)
from fedctr.federated.participation import Participation
from fedctr.messages import Failure, pack_failure, unpack_published
from tests.engine import publish, world

TASK = RoundTask(
    dataset="/cache/somewhere",
    rule=Fractions(window="earlier"),
    strategy="label-correction[variant=shift]",
    seed=7,
    learning_rate=0.3,
    epochs=4,
    batch_size=16,
    participation=Participation(0.3, 0.1, 0.2),
    averaging="holders",
    personal=("deep.layers.1.weight", "deep.layers.1.bias"),
    alternate=True,
    personal_file="/runs/personal/seed-7.npy",
    stop_file="/runs/.stop",
)


def test_a_round_arrives_as_it_was_sent() -> None:
    published = publish("lr", world([3]).schema)
    config = ConfigRecord({"server-round": 5, "proximal-mu": 0.1, "clipping_norm": 0.5, "last-epoch": True})
    content = pack_round(TASK, config, "name", published)
    assert unpack_round(content) == (TASK, Terms(5, pull=0.1, clipping_norm=0.5, last_epoch=True), "name")
    arrived = unpack_published(content)
    assert arrived is not None
    for name, value in published.model.state_dict().items():
        assert arrived.model.state_dict()[name].equal(value)


def test_an_aggregation_that_asks_for_nothing() -> None:
    assert Terms.of(ConfigRecord({"server-round": 2})) == Terms(2)


@pytest.mark.parametrize("value", [0, 1, -(2**62), 2**62, 2**53 + 1])
def test_sums_arrive_to_the_last_bit(value: int) -> None:
    sums = {"weight": np.full((2, 3), value), "bias": np.array([value])}
    sent = Contribution(sums, {"weight": np.array([0, abs(value)])}, users=9, diverged=2)
    arrived = unpack_contribution(pack_contribution(sent))
    assert isinstance(arrived, Contribution)
    assert (arrived.users, arrived.diverged) == (9, 2)
    for came, kind in ((arrived.sums, sent.sums), (arrived.holders, sent.holders)):
        assert came.keys() == kind.keys()
        for name, values in kind.items():
            assert came[name].dtype == np.int64
            np.testing.assert_array_equal(came[name], values)


def test_contributions_of_partitions_add_up() -> None:
    one = Contribution({"weight": np.array([[1], [-5]])}, {"weight": np.array([1, 2])}, users=3, diverged=1)
    two = Contribution({"weight": np.array([[2**61], [7]])}, {"weight": np.array([0, 4])}, users=5, diverged=0)
    both = Contribution.added([one, two])
    assert (both.users, both.diverged) == (8, 1)
    np.testing.assert_array_equal(both.sums["weight"], [[2**61 + 1], [2]])
    np.testing.assert_array_equal(both.holders["weight"], [1, 6])


def test_a_failure_arrives() -> None:
    failure = Failure(3, "fine-tuning", "u7", "RuntimeError: no")
    assert unpack_contribution(pack_failure(failure)) == failure
