"""What every model must do, whichever it is; each model's tests derive from :class:`Contract`."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from fedctr.features import Features
from fedctr.models.batch import Bag, Batch, Coded, Places
from fedctr.models.descent import Descent
from fedctr.models.model import Model
from tests.engine import cut, publish, world

USERS, SAMPLES = 4, 11


@dataclass(frozen=True, eq=False)
class Made(Batch):
    """A batch out of ready parts."""

    of_user: Coded
    of_item: Coded
    of_mean: Coded
    of_clicks: Coded
    places: Tensor

    @classmethod
    def of(cls, batch: Batch, change: Callable[[Places], Places] = lambda places: places) -> "Made":
        """The parts of another batch, each changed by a function."""
        user, item, mean, clicks = (
            {name: change(places) for name, places in part.items()}
            for part in (batch.user, batch.item, batch.mean_click, batch.clicks)
        )
        return cls(user, item, mean, clicks, batch.history)

    @property
    def user(self) -> Coded:
        return self.of_user

    @property
    def item(self) -> Coded:
        return self.of_item

    @property
    def mean_click(self) -> Coded:
        return self.of_mean

    @property
    def clicks(self) -> Coded:
        return self.of_clicks

    @property
    def history(self) -> Tensor:
        return self.places


def in_order(coded: Coded, axis: int, order: Tensor) -> Coded:
    """The same with places (axis 1) or the values of every place (axis 2) in another order."""
    found: dict[str, Places] = {}
    for name, places in coded.items():
        assert isinstance(places, Bag)
        weights = None if places.weights is None else places.weights.index_select(axis, order)
        found[name] = Bag(places.rows.index_select(axis, order), weights)
    return found


def in_double(places: Places) -> Places:
    """Weights in float64, as exact as the rest."""
    assert isinstance(places, Bag)
    present = places.weights if places.weights is not None else torch.ones(places.rows.shape)
    # A weight is one over a whole number, or the product of two such; float32 keeps them to seven digits.
    exact = torch.where(present > 0, 1 / (1 / present.double().clamp(min=1e-9)).round(), 0.0)
    return Bag(places.rows, exact)


def as_matrix(places: Places, tables: int) -> Places:
    """The same as a matrix over so many rows."""
    assert isinstance(places, Bag)
    return places.matrix(tables)


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

    def test_the_penultimate_layer_is_what_the_last_weights_are_multiplied_with(self, scene: "Scene") -> None:
        weights = {
            name: value for name, value in scene.model.named_parameters() if re.match(r"deep\.layers.*weight", name)
        }
        assert scene.model.represents == bool(weights)
        if not weights:
            return
        name, weight = weights.popitem()
        more = functional_call(scene.model, {name: 2 * weight}, (scene.batch,))
        expected = more - scene.model(scene.batch)
        torch.testing.assert_close(scene.model.represent(scene.batch) @ weight[0], expected, rtol=0, atol=1e-10)

    def test_what_one_user_has_does_not_touch_another(self, scene: "Scene") -> None:
        parameters = {name: value.float() for name, value in scene.stacked.items()}
        batch = scene.batch

        def other(places: Places) -> Places:
            assert isinstance(places, Bag)
            rows, weights = places.rows.clone(), torch.ones(places.rows.shape)
            weights = weights if places.weights is None else places.weights.float()
            rows[2], weights[2] = 1, 1
            return Bag(rows, weights)

        def same(places: Places) -> Places:
            assert isinstance(places, Bag)
            return Bag(places.rows, None if places.weights is None else places.weights.float())

        history = batch.history.clone()
        history[2] = 1
        before = functional_call(scene.model, parameters, (Made.of(batch, same),))
        for value in parameters.values():
            value[2] += 1
        after = functional_call(scene.model, parameters, (replace(Made.of(batch, other), places=history),))
        others = [0, 1, 3]
        assert torch.equal(before[others], after[others])
        assert not torch.isclose(before[2], after[2]).any()

    def test_what_one_sample_is_does_not_touch_another(self, scene: "Scene") -> None:
        batch, order = Made.of(scene.batch), torch.arange(SAMPLES).flip(0)
        logits = functional_call(scene.model, scene.stacked, (batch,))
        flipped = replace(
            batch,
            of_item=in_order(batch.item, 1, order),
            of_mean=in_order(batch.mean_click, 1, order),
            places=batch.history[:, order],
        )
        torch.testing.assert_close(
            functional_call(scene.model, scene.stacked, (flipped,))[:, order], logits, rtol=0, atol=1e-10
        )

    def test_the_order_of_clicks_in_a_history_does_not_matter(self, scene: "Scene") -> None:
        batch = Made.of(scene.batch)
        means = {
            name: in_order({name: bag}, 2, torch.arange(bag.rows.shape[2]).flip(0))[name]
            for name, bag in batch.mean_click.items()
            if isinstance(bag, Bag)
        }
        flipped = replace(batch, of_mean=means, places=batch.history.flip(2))
        torch.testing.assert_close(scene.model(flipped), scene.model(batch), rtol=0, atol=1e-10)

    def test_a_user_may_have_one_place_for_all_samples_or_one_for_each(self, scene: "Scene") -> None:
        batch = Made.of(scene.batch)
        each = in_order(batch.user, 1, torch.zeros(SAMPLES, dtype=torch.int64))
        torch.testing.assert_close(
            functional_call(scene.model, scene.stacked, (replace(batch, of_user=each),)),
            functional_call(scene.model, scene.stacked, (batch,)),
            rtol=0,
            atol=1e-10,
        )

    def test_a_matrix_says_the_same_as_a_bag(self, scene: "Scene") -> None:
        batch = Made.of(scene.batch)
        rows = {table.field: table.weight.shape[0] for table in scene.model.embeddings.values()}

        def matrices(coded: Coded) -> Coded:
            return {name: as_matrix(places, rows[name]) for name, places in coded.items() if name in rows}

        other = Made(
            matrices(batch.user),
            matrices(batch.item),
            matrices(batch.mean_click),
            matrices(batch.clicks),
            batch.history,
        )
        torch.testing.assert_close(
            functional_call(scene.model, scene.stacked, (other,)),
            functional_call(scene.model, scene.stacked, (batch,)),
            rtol=0,
            atol=1e-10,
        )

    def test_a_step_in_the_midst_of_the_backward_pass_is_one_along_the_gradient(self, scene: "Scene") -> None:
        start = {name: value.clone().requires_grad_() for name, value in scene.stacked.items()}
        logits = functional_call(scene.model, start, (scene.batch,))
        gradients = dict(
            zip(start, torch.autograd.grad(logits.square().sum(), list(start.values())), strict=True),
        )
        moved = {name: value.clone().requires_grad_() for name, value in scene.stacked.items()}
        with Descent(0.1):
            logits = functional_call(scene.model, moved, (scene.batch,))
        logits.square().sum().backward()
        for name, value in moved.items():
            found = value.detach() if value.grad is None else value.detach() - 0.1 * value.grad
            torch.testing.assert_close(found, scene.stacked[name] - 0.1 * gradients[name], rtol=0, atol=1e-9, msg=name)
            assert (value.grad is None) == (name != "bias"), name  # a model adds a bias of its own by itself

    def test_a_schema_that_knows_users_by_their_id_alone_will_do(self, scene: "Scene") -> None:
        dataset = scene.features.dataset
        schema = replace(dataset.schema, user_fields=dataset.schema.user_fields[:1])
        alone = replace(dataset, schema=schema, user_codes=dataset.user_codes[:, :1])
        features = Features(alone, scene.features.split, range(USERS), scene.model.history_length)
        logits = publish(scene.spec, schema).model(features.batch(np.arange(SAMPLES)[None], np.array([[0]])))
        assert logits.shape == (1, SAMPLES)
        assert torch.isfinite(logits).all()

    def test_training_and_evaluation_mode_are_the_same(self, scene: "Scene") -> None:
        training = scene.model.train()(scene.batch)
        assert torch.equal(training, scene.model.eval()(scene.batch))


class Scene:
    """Four users with eleven samples each and models of their own, in float64."""

    def __init__(self, spec: str) -> None:
        self.spec = spec
        dataset = world([SAMPLES] * USERS, seed=2)
        self.model: Model = publish(spec, dataset.schema).model.double()
        self.features = Features(dataset, cut(dataset, [9] * USERS), range(USERS), self.model.history_length)
        generator = torch.Generator().manual_seed(1)
        self.stacked = {
            name: (value + 0.1 * torch.randn(USERS, *value.shape, generator=generator, dtype=torch.float64)).detach()
            for name, value in self.model.named_parameters()
        }

    @cached_property
    def batch(self) -> Batch:
        rows = np.arange(USERS * SAMPLES).reshape(USERS, SAMPLES)
        return Made.of(self.features.batch(rows, np.arange(USERS)[:, None]), in_double)

    def alone(self, user: int) -> Batch:
        rows = np.arange(SAMPLES)[None] + user * SAMPLES
        return Made.of(self.features.batch(rows, np.array([[user]])), in_double)

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

    def fields(self, user: list[int], item: list[int], clicks: list[list[int]]) -> list[Tensor]:
        """The embeddings of the fields of user, item and mean history, one by one."""
        size = next(iter(self.model.get_submodule("item.tables").children())).get_parameter("weight").shape[1]
        joint = torch.cat([self.vector("user", user, "user"), self.shown(item, clicks)])
        return list(joint.split(size))

    def shown(self, item: list[int], clicks: list[list[int]]) -> Tensor:
        """The embeddings of an item beside the mean of those of its history."""
        vector = self.vector("item", item, "item")
        past = [self.vector("item", click, "item") for click in clicks]
        return torch.cat([vector, torch.stack(past).mean(0) if past else torch.zeros_like(vector)])

    def mlp(self, prefix: str, x: Tensor, constant: Tensor) -> Tensor:
        """Linear layers with ReLU between them, from their weights; the first reads a constant beside its input."""
        state = self.model.state_dict()
        begin = f"{prefix}.layers."
        layers = sorted({int(key.removeprefix(begin).split(".")[0]) for key in state if key.startswith(begin)})
        for layer in layers:
            weight = state[f"{prefix}.layers.{layer}.weight"]
            if not layer:
                x = torch.cat([x, constant])
                weight = torch.cat([weight, state[f"{prefix}.constant.weight"]], dim=1)
            x = weight @ x + state[f"{prefix}.layers.{layer}.bias"]
            x = x if layer == layers[-1] else x.clamp(min=0)
        return x
