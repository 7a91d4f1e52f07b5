"""A step of the kernel against autograd: every weight moves along its own gradient."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedctr.features import Features
from fedctr.fused import kernel
from fedctr.fused.engine import Fused
from fedctr.fused.plan import FIELD, ROOM_AT
from tests.engine import features_of, publish

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 0.5
SAMPLES = [0, 1, 15, 16, 17, 32]

MODELS = (
    "wide-deep[embedding=5,hidden=[13,7],history=3]",
    "dcn-v2[embedding=3,cross=3,hidden=[13,7],history=4]",
    "dcn-v2[embedding=8,cross=1,hidden=[32],history=20]",
    "din[embedding=3,hidden=[9,5],attention=7,history=4]",
    "din[embedding=8,hidden=[32,16],attention=20,history=20]",
    "pnn[embedding=5,hidden=[13,7],history=3]",
    "autoint[embedding=5,layers=3,heads=3,head=3,history=3]",
    "dien[embedding=3,hidden=[9,5],history=4]",
    "dien[embedding=8,hidden=[32,16],history=20]",
    # Rows of tables of one vector and of two; states that fill a part of half a vector, also behind a whole one.
    "wide-deep[embedding=16,hidden=[13],history=20]",
    "wide-deep[embedding=20,hidden=[13],history=1]",
    "din[embedding=16,hidden=[9],attention=16,history=1]",
    "dien[embedding=1,hidden=[9,5],history=1]",
    "dien[embedding=7,hidden=[9,5],history=4]",
)


@pytest.mark.parametrize("scale", [1, 40])
@pytest.mark.parametrize("spec", MODELS)
def test_a_step_moves_every_weight_along_its_gradient(spec: str, scale: int) -> None:
    check(spec, features_of(SAMPLES, [1] * len(SAMPLES), scale=scale, interests=True))


@pytest.mark.parametrize("spec", ["wide-deep", "din", "dien"])
def test_so_it_does_where_nobody_clicks(spec: str) -> None:
    features = features_of(SAMPLES, [1] * len(SAMPLES), scale=1, interests=True)
    dataset = replace(features.dataset, label=np.zeros_like(features.dataset.label))
    check(spec, Features(dataset, features.split, features.users, features.history_length))


def check(spec: str, features: Features) -> None:
    """That the kernel moves every weight along autograd's gradient."""
    published = publish(spec, features.dataset.schema)
    own = Features(features.dataset, features.split, features.users, published.model.history_length)
    engine, users = Fused(published, own, "test", 32, "sgd"), np.arange(len(SAMPLES))
    plan, layout = engine.layout.plan, engine.layout
    samples = engine.group(users, 0).samples
    devices, rows = layout.devices(len(users)), layout.rows(samples.mask.shape[1])
    kernel.begin(plan, samples.people, rows, devices, engine.bench)
    step = samples.people._replace(asked=samples.people.local, scored=samples.people.held)
    gradients = np.random.default_rng(0).standard_normal(step.asked.shape).astype(np.float32)
    training = layout.training(list(layout.shapes), RATE)
    kernel.descend(plan, step, devices, devices.weights, engine.bench, training, gradients, False)
    moved = layout.views(torch.from_numpy(devices.weights), rows)

    model, starts = published.model, own.split.bounds("train")[0]
    for user, count in enumerate(SAMPLES):
        model.zero_grad()
        if count:
            logits = model(own.batch(starts[user] + np.arange(count)[None], np.array([[user]])))
            logits.backward(torch.from_numpy(gradients[user : user + 1, :count]))
        for number, (name, value) in enumerate(model.named_parameters()):
            expected, found = value.detach(), moved[name][user]
            if value.grad is not None:
                expected = expected - RATE * value.grad
            field = plan.parameters[number, FIELD]
            if field >= 0:
                tuned, first = int(devices.tuned[user, field]), plan.fields[field, ROOM_AT]
                expected = expected[devices.codes[user, first : first + tuned]]
                found = found[:tuned]
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-4, err_msg=name)
