import pytest
import torch

from fedctr.models.wide_deep import WideDeep
from tests.engine import world
from tests.models.contract import Contract, Scene


class TestWideDeep(Contract):
    specs = (
        "wide-deep[history=3]",
        "wide-deep[embedding=5,hidden=[13,7],history=4]",
        "wide-deep[embedding=2,hidden=[],history=2,user_id=true]",
    )

    def test_a_logit_is_a_sum_of_weights_plus_a_network_on_embeddings(self, scene: Scene) -> None:
        lengths = set()
        for logit, user, item, clicks in scene.samples():
            embedded = [scene.vector("item", click, "item") for click in clicks]
            width = len(scene.vector("item", item, "item"))
            mean = torch.stack(embedded).mean(0) if clicks else torch.zeros(width, dtype=torch.float64)
            inputs = torch.cat([scene.vector("item", item, "item"), mean])
            network = scene.mlp("deep", inputs, scene.vector("user", user, "user"))
            wide = scene.vector("wide_user", user, "user").sum() + scene.vector("wide_item", item, "item").sum()
            assert logit == pytest.approx(float(wide + network), abs=1e-10)
            lengths.add(len(clicks))
        assert {0, scene.model.history_length} <= lengths


def test_it_reads_as_many_clicks_as_asked_for() -> None:
    assert WideDeep(world([1]).schema).history_length == 20
    assert WideDeep(world([1]).schema, history=3).history_length == 3
