from itertools import combinations

import pytest
import torch

from tests.models.contract import Contract, Scene


class TestPNN(Contract):
    specs = (
        "pnn[history=3]",
        "pnn[embedding=5,hidden=[13,7],history=4]",
        "pnn[embedding=2,hidden=[],history=2,user_id=true]",
    )

    def test_a_logit_is_a_network_on_embeddings_and_the_inner_product_of_every_pair(self, scene: Scene) -> None:
        for logit, user, item, clicks in scene.samples():
            pairs = [torch.dot(one, other) for one, other in combinations(scene.fields(user, item, clicks), 2)]
            x = torch.cat([scene.shown(item, clicks), torch.stack(pairs)])
            network = scene.mlp("deep", x, scene.vector("user", user, "user"))
            assert logit == pytest.approx(float(network), abs=1e-10)
