import pytest
import torch

from fedctr.models.ncf import NCF
from tests.engine import world
from tests.models.contract import Contract, Scene


class TestNCF(Contract):
    specs = ("ncf", "ncf[embedding=5,hidden=[13,7]]", "ncf[embedding=2,hidden=[]]")

    def test_a_logit_is_a_network_on_the_ids_alone(self, scene: Scene) -> None:
        state = scene.model.state_dict()
        for logit, user, item, _ in scene.samples():
            ids = (state[f"{side}.tables.{side}.weight"][codes[0]] for side, codes in (("item", item), ("user", user)))
            assert logit == pytest.approx(float(scene.mlp("deep", *ids)), abs=1e-10)


def test_it_reads_no_history_and_no_other_field() -> None:
    model = NCF(world([1]).schema)
    assert model.history_length == 0
    assert (list(model.user.tables), list(model.item.tables)) == (["user"], ["item"])
    assert all(isinstance(value, torch.nn.Parameter) for value in model.parameters())
