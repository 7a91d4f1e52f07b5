"""What every model must do, whichever it is; each model's tests derive from :class:`Contract`."""

from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from fedctr.features import Features
from fedctr.models.model import Batch, Model
from tests.engine import cut, publish, world

USERS, SAMPLES = 4, 11


class Contract:
    """Derive a class named ``Test...`` and set ``specs``.

    Attributes:
        specs: the model with several options.
    """

    specs: ClassVar[tuple[str, ...]]

    @pytest.fixture
    def scene(self, spec: str) -> "Scene":
        return Scene(spec)

    def test_stacked_parameters_give_what_each_user_has_alone(self, scene: "Scene") -> None:
        together = functional_call(scene.model, scene.stacked, (scene.batch,))
        assert together.shape == (USERS, SAMPLES)
        for user in range(USERS):
            alone = functional_call(scene.model, scene.own(user), (scene.alone(user),))
            torch.testing.assert_close(together[user], alone[0], rtol=0, atol=1e-10)
        assert together.std() > 0.01

    def test_shared_parameters_are_the_same_as_equal_copies(self, scene: "Scene") -> None:
        copies = {name: value.expand(USERS, *value.shape) for name, value in scene.model.named_parameters()}
        shared, stacked = scene.model(scene.batch), functional_call(scene.model, copies, (scene.batch,))
        torch.testing.assert_close(shared, stacked, rtol=0, atol=1e-10)

    def test_the_gradient_of_the_sum_over_users_is_each_users_own(self, scene: "Scene") -> None:
        names = list(scene.stacked)
        for value in scene.stacked.values():
            value.requires_grad_()
        logits = functional_call(scene.model, scene.stacked, (scene.batch,))
        together = torch.autograd.grad(logits.square().sum(), [scene.stacked[name] for name in names])
        for user in range(USERS):
            own = {name: value.detach().requires_grad_() for name, value in scene.own(user).items()}
            logits = functional_call(scene.model, own, (scene.alone(user),))
            alone = torch.autograd.grad(logits.square().sum(), [own[name] for name in names])
            for name, shared, private in zip(names, together, alone, strict=True):
                torch.testing.assert_close(shared[user], private, rtol=0, atol=1e-10, msg=name)
        for name, gradient in zip(names, together, strict=True):
            assert gradient.abs().max() > 0, f"{name} does nothing"

    def test_what_one_user_has_does_not_touch_another(self, scene: "Scene") -> None:
        parameters = {name: value.float() for name, value in scene.stacked.items()}
        before = functional_call(scene.model, parameters, (scene.batch,))
        for value in parameters.values():
            value[2] += 1
        batch = scene.batch
        changed = Batch(
            batch.user.clone(), batch.items.clone(), batch.item.clone(), batch.clicks, batch.history.clone()
        )
        changed.user[2], changed.items[2, 1:], changed.item[2], changed.history[2] = 1, 1, 1, 1
        after = functional_call(scene.model, parameters, (changed,))
        others = [0, 1, 3]
        assert torch.equal(before[others], after[others])
        assert not torch.isclose(before[2], after[2]).any()

    def test_what_one_sample_is_does_not_touch_another(self, scene: "Scene") -> None:
        batch, order = scene.batch, torch.arange(SAMPLES).flip(0)
        logits = functional_call(scene.model, scene.stacked, (batch,))
        flipped = Batch(batch.user, batch.items, batch.item[:, order], batch.clicks, batch.history[:, order])
        torch.testing.assert_close(
            functional_call(scene.model, scene.stacked, (flipped,))[:, order], logits, rtol=0, atol=1e-10
        )

    def test_the_order_of_clicks_in_a_history_does_not_matter(self, scene: "Scene") -> None:
        batch = scene.batch
        flipped = Batch(batch.user, batch.items, batch.item, batch.clicks, batch.history.flip(2))
        torch.testing.assert_close(scene.model(flipped), scene.model(batch), rtol=0, atol=1e-10)

    def test_training_and_evaluation_mode_are_the_same(self, scene: "Scene") -> None:
        training = scene.model.train()(scene.batch)
        assert torch.equal(training, scene.model.eval()(scene.batch))


class Scene:
    """Four users with eleven samples each and models of their own, in float64."""

    def __init__(self, spec: str) -> None:
        dataset = world([SAMPLES] * USERS, seed=2)
        self.model: Model = publish(spec, dataset.schema).model.double()
        self.features = Features.build(dataset, cut(dataset, [9] * USERS), range(USERS), self.model.history_length)
        generator = torch.Generator().manual_seed(1)
        self.stacked = {
            name: (value + 0.1 * torch.randn(USERS, *value.shape, generator=generator, dtype=torch.float64)).detach()
            for name, value in self.model.named_parameters()
        }

    @cached_property
    def batch(self) -> Batch:
        return self.features.batch(np.arange(USERS * SAMPLES).reshape(USERS, SAMPLES), np.arange(USERS)[:, None])

    def alone(self, user: int) -> Batch:
        return self.features.batch(np.arange(SAMPLES)[None] + user * SAMPLES, np.array([[user]]))

    def own(self, user: int) -> dict[str, Tensor]:
        return {name: value[user] for name, value in self.stacked.items()}

    def samples(self) -> Iterator[tuple[float, list[int], list[int], list[list[int]]]]:
        """Each sample's logit, and the codes of its user, its item and its clicks, the clicks from the data set."""
        dataset, histories = self.features.dataset, self.features.histories
        with torch.no_grad():
            logits = self.model(self.batch)
        for row in range(dataset.samples):
            user, sample = divmod(row, SAMPLES)
            clicks = [
                dataset.item_codes[dataset.item[past]].tolist()
                for past in histories.of(np.array([row]))[0]
                if past >= 0
            ]
            yield (
                float(logits[user, sample]),
                dataset.user_codes[user].tolist(),
                dataset.item_codes[dataset.item[row]].tolist(),
                clicks,
            )

    def vector(self, prefix: str, codes: list[int], side: str) -> Tensor:
        """The embeddings of one user or item side by side, from the tables one by one."""
        found = []
        columns = {"user": {"user": [0], "group": [1]}, "item": {"item": [0], "category": [1], "tags": [2, 3, 4]}}
        state = self.model.state_dict()
        for name, places in columns[side].items():
            key = f"{prefix}.tables.{name}.weight"
            if key in state:
                present = [state[key][codes[place]] for place in places if codes[place]]
                found.append(torch.stack(present).mean(0) if present else state[key].new_zeros(state[key].shape[1]))
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64)

    def mlp(self, prefix: str, x: Tensor) -> Tensor:
        """Linear layers with ReLU between them, from their weights."""
        state = self.model.state_dict()
        layers = sorted({int(key.split(".")[2]) for key in state if key.startswith(f"{prefix}.layers.")})
        for layer in layers:
            x = state[f"{prefix}.layers.{layer}.weight"] @ x + state[f"{prefix}.layers.{layer}.bias"]
            x = x if layer == layers[-1] else x.clamp(min=0)
        return x
