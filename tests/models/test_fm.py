from itertools import combinations

import pytest
import torch

from tests.models.contract import Contract, Scene


class TestFM(Contract):
    specs = (
        "fm[history=3]",
        "fm[embedding=5,history=4]",
        "fm[embedding=1,history=2,user_id=true]",
    )

    def test_a_logit_is_a_bias_first_order_weights_and_the_inner_product_of_every_pair(self, scene: Scene) -> None:
        for logit, user, item, clicks in scene.samples():
            total = scene.model.state_dict()["bias"] + scene.vector("first_user", user, "user").sum()
            total = total + scene.vector("first_item", item, "item").sum()
            for one, other in combinations(scene.fields(user, item, clicks), 2):
                total = total + torch.dot(one, other)
            assert logit == pytest.approx(float(total), abs=1e-10)
