import math

import pytest
import torch

from fedctr.models.autoint import AutoInt
from tests.engine import world
from tests.models.contract import Contract, Scene


class TestAutoInt(Contract):
    specs = (
        "autoint[history=3]",
        "autoint[embedding=5,layers=3,heads=3,head=2,history=4]",
        "autoint[embedding=2,layers=1,heads=1,head=3,history=2,user_id=true]",
    )

    def test_a_logit_is_a_linear_layer_on_fields_that_attend_to_one_another(self, scene: Scene) -> None:
        state, model = scene.model.state_dict(), scene.model
        assert isinstance(model, AutoInt)
        for logit, user, item, clicks in scene.samples():
            fields = scene.fields(user, item, clicks)
            for layer in range(len(model.layers)):
                query, key, value, residual = state[f"layers.{layer}.weight"].chunk(4)
                mixed = []
                for field in fields:
                    heads = []
                    for q, k, v in zip(*(part.chunk(model.heads) for part in (query, key, value)), strict=True):
                        scores = [math.exp(torch.dot(q @ field, k @ other)) for other in fields]
                        seen = zip(scores, fields, strict=True)
                        heads.append(torch.stack([score / sum(scores) * (v @ other) for score, other in seen]).sum(0))
                    mixed.append((torch.cat(heads) + residual @ field).clamp(min=0))
                fields = mixed
            output = state["deep.layers.0.weight"] @ torch.cat(fields) + state["deep.layers.0.bias"]
            assert logit == pytest.approx(float(output), abs=1e-10)


def test_query_key_value_and_residual_begin_as_layers_of_their_own() -> None:
    model = AutoInt(world([1]).schema, embedding=40, layers=1, heads=2, head=30)
    bound = (6 / (40 + 60)) ** 0.5  # Glorot and Bengio's, of 40 inputs and 60 outputs
    for part in model.state_dict()["layers.0.weight"].chunk(4):
        assert 0.99 * bound < part.abs().max() <= bound
