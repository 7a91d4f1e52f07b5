import pytest
import torch

from fedctr.models.din import DIN
from tests.engine import world
from tests.models.contract import Contract, Scene


class TestDIN(Contract):
    specs = (
        "din[history=3]",
        "din[embedding=3,hidden=[9,5],attention=7,history=4]",
        "din[embedding=2,hidden=[],attention=1,history=2,user_id=true]",
    )

    def test_a_logit_is_a_network_on_user_item_and_the_clicks_weighted_by_attention(self, scene: Scene) -> None:
        state, lengths = scene.model.state_dict(), set()

        def linear(name: str, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = state[f"{name}.weight"] @ x + state[f"{name}.bias"]
            return y

        for logit, user, item, clicks in scene.samples():
            shown = scene.vector("item", item, "item")
            interest = torch.zeros_like(shown)
            for click in (scene.vector("item", click, "item") for click in clicks):
                hidden = linear("attend_item", shown) + linear("attend_click", click)
                hidden += linear("attend_product", shown * click)
                interest += linear("attention", hidden.clamp(min=0)) * click
            network = scene.mlp("deep", torch.cat([shown, interest]), scene.vector("user", user, "user"))
            assert logit == pytest.approx(float(network), abs=1e-10)
            lengths.add(len(clicks))
        assert {0, scene.model.history_length} <= lengths


def test_it_reads_as_many_clicks_as_asked_for() -> None:
    assert DIN(world([1]).schema).history_length == 20
    assert DIN(world([1]).schema, history=3).history_length == 3
