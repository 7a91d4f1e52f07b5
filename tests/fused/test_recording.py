"""Which models the compiled engine takes, and what it makes of them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fedctr.data.dataset import Schema
from fedctr.fused.layout import Layout, Most
from fedctr.fused.plan import ATTEND_FIELDS, CROSS, LAYER, TURN, WRITTEN, A, G
from fedctr.fused.recording import record
from fedctr.models.attention import attend
from fedctr.models.batch import Batch
from fedctr.models.gru import GRU, follow_interest
from fedctr.models.layers import MLP, Embeddings, Linear
from fedctr.models.model import Model
from tests.engine import publish, world

SCHEMA = world([3, 2]).schema


@pytest.mark.parametrize("name", ["lr", "ncf", "wide-deep", "deepfm", "fm", "dcn-v2", "din", "pnn", "autoint", "dien"])
def test_these_models_have_a_recording(name: str) -> None:
    assert record(publish(name, SCHEMA).model) is not None


class Odd(Model):
    """Has layers that the kernel has, and does something with them that it cannot do."""

    name = "odd"

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.item = Embeddings("item", schema.item_fields, 4)
        self.user = Embeddings("user", schema.user_fields, 4)
        self.layer, self.square = Linear(self.item.width, 1), Linear(self.item.width, self.item.width)
        self.deep = MLP(self.item.width, 3, 1)
        self.bias = nn.Parameter(torch.zeros(2))


class Plain(Odd):
    """Does nothing of the kind."""

    def forward(self, batch: Batch) -> Tensor:
        return self.deep(self.item(batch.item)).squeeze(-1)  # type: ignore[no-any-return]


class Sigmoid(Odd):
    def forward(self, batch: Batch) -> Tensor:
        return self.layer(torch.sigmoid(self.item(batch.item))).squeeze(-1)  # type: ignore[no-any-return]


class Twice(Odd):
    """Its weight has to keep its old value until both have been through the backward pass."""

    def forward(self, batch: Batch) -> Tensor:
        return self.layer(self.square(self.square(self.item(batch.item)))).squeeze(-1)  # type: ignore[no-any-return]


class Branching(Odd):
    def forward(self, batch: Batch) -> Tensor:
        item = self.item(batch.item)
        return item.sum(-1) if item.sum() > 0 else -item.sum(-1)  # type: ignore[no-any-return]


class Vectors(Odd):
    """PyTorch would broadcast (users, samples) to a third axis."""

    def forward(self, batch: Batch) -> Tensor:
        return self.item(batch.item).sum(-1) + self.deep(self.item(batch.item))  # type: ignore[no-any-return]


class User(Odd):
    def forward(self, batch: Batch) -> Tensor:
        return self.user(batch.user).sum(-1)  # type: ignore[no-any-return]


class Broadcast(Odd):
    """PyTorch would repeat the single column of what is added."""

    def forward(self, batch: Batch) -> Tensor:
        item = self.item(batch.item)
        return torch.addcmul(self.layer(item), item, item).sum(-1)


class Backwards(Odd):
    """Attends to items instead of clicks."""

    def forward(self, batch: Batch) -> Tensor:
        item, clicks = self.item(batch.item), self.item(batch.clicks)
        return attend(clicks, item, batch.history, self.square, self.square, self.square, self.layer).sum(-1)


class Narrower(Odd):
    """What is sought has another width than the states in which it is sought."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        size = self.item.width
        self.extract, self.evolve, self.seek = GRU(size, size), GRU(size, size), Linear(size, 1)

    def forward(self, batch: Batch) -> Tensor:
        item, clicks = self.item(batch.item), self.item(batch.clicks)
        return follow_interest(item, clicks, batch.history, self.extract, self.seek, self.evolve).sum(-1)


class Shifted(Odd):
    def forward(self, batch: Batch) -> Tensor:
        return self.item(batch.item).sum(-1) + self.bias  # type: ignore[no-any-return]


class Cubed(Odd):
    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.cube = nn.Parameter(torch.zeros(2, 2, 2))

    def forward(self, batch: Batch) -> Tensor:
        return self.item(batch.item).sum(-1)  # type: ignore[no-any-return]


class PlusOne(Odd):
    """What is added is a number, and not the value of that number."""

    def forward(self, batch: Batch) -> Tensor:
        return self.item(batch.item).sum(-1) + 1  # type: ignore[no-any-return]


class PlusHundred(Odd):
    """There are not so many values."""

    def forward(self, batch: Batch) -> Tensor:
        return 100 + self.item(batch.item).sum(-1)  # type: ignore[no-any-return]


class Constant(Odd):
    """Value 1 would be logits, too."""

    def forward(self, batch: Batch) -> Tensor:
        self.item(batch.item).sum(-1)
        return 1  # type: ignore[return-value]


class KeepsAxis(Odd):
    def forward(self, batch: Batch) -> Tensor:
        return self.item(batch.item).sum(-1, keepdim=True).squeeze(-1)  # type: ignore[no-any-return]


class AllAxes(Odd):
    """PyTorch would squeeze whatever is 1, the users too."""

    def forward(self, batch: Batch) -> Tensor:
        return self.layer(self.item(batch.item)).squeeze()  # type: ignore[no-any-return]


class Axis(Odd):
    """Another word for ``dim``."""

    def forward(self, batch: Batch) -> Tensor:
        item = self.item(batch.item)
        return torch.cat([item, item], axis=-1).sum(-1)  # type: ignore[call-arg]


class Bounded(MLP):
    def forward(self, x: Tensor, constant: Tensor | None = None) -> Tensor:
        return super().forward(x, constant).tanh()


class OwnNetwork(Plain):
    """Is made of what it is derived from, but computes something else."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.deep = Bounded(self.item.width, 3, 1)


class Doubled(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class OwnLayer(Odd):
    """Is given to attention, which would use its weights alone."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.by_item, self.by_click = Doubled(self.item.width, self.item.width), Linear(self.item.width, 12)

    def forward(self, batch: Batch) -> Tensor:
        item, clicks = self.item(batch.item), self.item(batch.clicks)
        return attend(item, clicks, batch.history, self.by_item, self.by_click, self.square, self.layer).sum(-1)


def test_a_strangers_model_that_does_nothing_else_has_one() -> None:
    assert record(Plain(SCHEMA)) is not None


@pytest.mark.parametrize(
    "model",
    [
        *(Sigmoid, Twice, Branching, Vectors, User, Broadcast, Backwards, Narrower, Shifted, Cubed),
        *(PlusOne, PlusHundred, Constant, KeepsAxis, AllAxes, Axis, OwnNetwork, OwnLayer),
    ],
)
def test_a_strangers_model_that_does_something_else_has_none(model: type[Odd]) -> None:
    assert record(model(SCHEMA)) is None


def layout_of(spec: str) -> Layout:
    model = publish(spec, SCHEMA).model
    recording = record(model)
    assert recording is not None
    return Layout.of(model, SCHEMA, recording, Most(32, 10, 64, 32))


def test_the_work_of_a_step_by_hand() -> None:
    """Three layers, each with its weight; what they make of each other lies across from the first to the last."""
    layout = layout_of("wide-deep[embedding=5,hidden=[130,70],history=5]")
    plan, training = layout.plan, layout.training(list(layout.shapes), 0.1)
    turns, products = (plan.operations[plan.operations[:, 0] == code] for code in (TURN, LAYER))
    widths = plan.values[:, 1]
    # Three item fields, shown and in the mean.
    assert [(int(widths[x]), int(widths[out])) for _, out, x, *_ in products] == [(30, 130), (130, 70), (70, 1)]
    # Forward, the input is turned and the logit is; the second and the third layer turn theirs for their weights.
    assert [(int(widths[x]), bool(training.needed[out])) for _, out, x, *_ in turns] == [(30, True), (1, True)]
    assert products[:, G].tolist() == [0, 1, 1]
    # All that is between is read once, and its gradient written at once.
    assert plan.values[products[:, A], WRITTEN].tolist() == [1, 1, 1]


def test_cross_layers_and_attention_lie_across_from_the_first_to_the_last() -> None:
    """Three item fields, shown and in the mean, and one of the user, of three numbers each."""
    for spec, code, layers in (("dcn-v2[embedding=3,cross=4]", CROSS, 4), ("autoint[embedding=3]", ATTEND_FIELDS, 2)):
        plan = layout_of(spec).plan
        operations, widths = plan.operations, plan.values[:, 1]
        assert (operations[:, 0] == code).sum() == layers
        turned = [int(widths[x]) for x in operations[operations[:, 0] == TURN][:, A]]
        # What all begins with, without the user's for first layers and with it for what cross layers multiply by.
        assert turned == ([18, 21, 1, 1] if code == CROSS else [18, 1])


def test_what_leads_to_no_tuned_parameter_takes_no_gradient() -> None:
    layout = layout_of("wide-deep[embedding=5,hidden=[13,7],history=5]")
    everything = layout.training(list(layout.shapes), 0.1)
    last = layout.training(["deep.layers.2.weight", "deep.layers.2.bias"], 0.1)
    none = layout.training((), 0.1)
    assert everything.needed.sum() > last.needed.sum() > none.needed.sum() == 0
    layers = [out for code, out, *_ in layout.plan.operations if code == LAYER]
    assert last.needed[layers].tolist() == [False, False, True]
    assert last.trained.sum() == 2


def test_the_published_parameters_are_found_in_the_weights() -> None:
    published = publish("wide-deep[embedding=5,hidden=[13,7],history=5]", SCHEMA)
    layout = layout_of(published.spec)
    weights = np.zeros((2, layout.weights), dtype=np.float32)
    weights[:, : layout.plan.dense] = layout.plan.published[: layout.plan.dense]
    views = layout.views(torch.from_numpy(weights), layout.rows(64))
    for name, value in published.model.named_parameters():
        if name in layout.tables:
            assert views[name].shape[2] == value.shape[1]
        else:
            assert torch.equal(views[name][0], value)
            assert torch.equal(views[name][1], value)
