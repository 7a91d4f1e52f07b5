import pytest
import torch

from fedctr.models.lr import LR
from tests.engine import world
from tests.models.contract import Contract, Scene


class TestLR(Contract):
    specs = ("lr", "lr[user_id=true]")

    def test_a_logit_is_the_sum_of_the_weights_of_what_is_present(self, scene: Scene) -> None:
        for logit, user, item, _ in scene.samples():
            weights = scene.vector("user", user, "user").sum() + scene.vector("item", item, "item").sum()
            assert logit == pytest.approx(float(weights + scene.model.state_dict()["bias"]), abs=1e-10)


def test_the_users_id_is_a_feature_only_on_demand() -> None:
    schema = world([1]).schema
    assert list(LR(schema).user.tables) == ["group"]
    assert list(LR(schema, user_id=True).user.tables) == ["user", "group"]


def test_it_reads_no_history_and_starts_near_one_half() -> None:
    model = LR(world([1]).schema)
    assert model.history_length == 0
    assert model.bias.item() == 0
    assert all(bool((value.abs() < 0.1).all()) for value in model.parameters())
    assert isinstance(model.bias, torch.nn.Parameter)
