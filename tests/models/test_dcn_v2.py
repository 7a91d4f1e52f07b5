import pytest
import torch

from tests.models.contract import Contract, Scene


class TestDCNV2(Contract):
    specs = (
        "dcn-v2[history=3]",
        "dcn-v2[embedding=5,cross=3,hidden=[13,7],history=4]",
        "dcn-v2[embedding=2,cross=1,hidden=[],history=2,user_id=true]",
    )

    def test_a_logit_is_a_cross_network_plus_a_deep_one(self, scene: Scene) -> None:
        state = scene.model.state_dict()
        layers = sum(name.startswith("cross.") for name in state) // 2
        for logit, user, item, clicks in scene.samples():
            start = torch.cat(scene.fields(user, item, clicks))
            x = start
            for layer in range(layers):
                x = start * (state[f"cross.{layer}.weight"] @ x + state[f"cross.{layer}.bias"]) + x
            deep = scene.mlp("deep", scene.shown(item, clicks), scene.vector("user", user, "user"))
            assert logit == pytest.approx(float(state["crossed.weight"] @ x + deep), abs=1e-10)
