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
        layers = len({name.split(".")[1] for name in state if name.startswith("cross.")})
        for logit, user, item, clicks in scene.samples():
            start = torch.cat(scene.fields(user, item, clicks))
            shown, constant = scene.shown(item, clicks), scene.vector("user", user, "user")
            x = start * scene.mlp("cross.0", shown, constant) + start
            for layer in range(1, layers):
                x = start * (state[f"cross.{layer}.weight"] @ x + state[f"cross.{layer}.bias"]) + x
            deep = scene.mlp("deep", shown, constant)
            assert logit == pytest.approx(float(state["crossed.weight"] @ x + deep), abs=1e-10)
