from itertools import combinations

import pytest
import torch

from tests.models.contract import Contract, Scene


class TestDeepFM(Contract):
    specs = (
        "deepfm[history=3]",
        "deepfm[embedding=5,hidden=[13,7],history=4]",
        "deepfm[embedding=2,hidden=[],history=2,user_id=true]",
    )

    def test_a_logit_is_a_factorisation_machine_plus_a_network_on_the_same_embeddings(self, scene: Scene) -> None:
        for logit, user, item, clicks in scene.samples():
            wide = scene.vector("first_user", user, "user").sum() + scene.vector("first_item", item, "item").sum()
            fields = scene.fields(user, item, clicks)
            pairs = sum(float(torch.dot(one, other)) for one, other in combinations(fields, 2))
            deep = scene.mlp("deep", scene.shown(item, clicks), scene.vector("user", user, "user"))
            assert logit == pytest.approx(float(wide + pairs + deep), abs=1e-10)
