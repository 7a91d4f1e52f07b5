import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fedctr.models.dien import DIEN
from tests.engine import world
from tests.models.contract import Contract, Made, Scene


class TestDIEN(Contract):
    specs = (
        "dien[history=3]",
        "dien[embedding=3,hidden=[9,5],history=4]",
        "dien[embedding=2,hidden=[],history=2,user_id=true]",
    )

    def test_a_logit_is_a_network_on_user_item_and_the_interest_that_evolved(self, scene: Scene) -> None:
        state, lengths = scene.model.state_dict(), set()

        def unit(name: str, x: Tensor, before: Tensor, share: float) -> Tensor:
            read = state[f"{name}.read.weight"] @ x + state[f"{name}.read.bias"]
            gates = torch.sigmoid(read[: 2 * len(before)] + state[f"{name}.gate.weight"] @ before)
            reset, update = gates.chunk(2)
            fresh = torch.tanh(read[2 * len(before) :] + reset * (state[f"{name}.renew.weight"] @ before))
            return (1 - share * update) * before + share * update * fresh

        for logit, user, item, clicks in scene.samples():
            shown = scene.vector("item", item, "item")
            interests = [torch.zeros_like(shown)]
            for click in reversed(clicks):  # oldest first
                interests.append(unit("extract", scene.vector("item", click, "item"), interests[-1], 1))
            scores = [math.exp(torch.dot(state["attend.weight"] @ shown, interest)) for interest in interests[1:]]
            evolved = torch.zeros_like(shown)
            for interest, score in zip(interests[1:], scores, strict=True):
                evolved = unit("evolve", interest, evolved, score / sum(scores))
            network = scene.mlp("deep", torch.cat([shown, evolved]), scene.vector("user", user, "user"))
            assert logit == pytest.approx(float(network), abs=1e-10)
            lengths.add(len(clicks))
        assert {0, scene.model.history_length} <= lengths

    def test_the_order_of_clicks_in_a_history_does_not_matter(self, scene: Scene) -> None:
        """It does: interest evolves."""
        batch = Made.of(scene.batch)
        flipped = scene.model(replace(batch, places=batch.history.flip(2)))
        assert not torch.isclose(flipped, scene.model(batch), rtol=0, atol=1e-6).all()


def test_it_reads_as_many_clicks_as_asked_for() -> None:
    assert DIEN(world([1]).schema).history_length == 20
    assert DIEN(world([1]).schema, history=3).history_length == 3
